//! The container engine: whether it answers, whether it has an image, and what is left on it.

use std::collections::HashMap;
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerRequest, GenericImage};

use super::StartError;
use super::owner::Owner;

/// The label that names a container's [`Owner`].
pub(super) const OWNER: &str = "rowlock.owner";

const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Engine {
    docker: Docker,
}

impl Engine {
    /// The engine that DOCKER_HOST or the usual socket leads to, once it has answered.
    pub(super) async fn connect() -> Result<Engine, StartError> {
        let why = match tokio::time::timeout(ANSWERS_WITHIN, Engine::ping()).await {
            Ok(Ok(engine)) => return Ok(engine),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer for {} s", ANSWERS_WITHIN.as_secs()),
        };
        Err(StartError::Container {
            what: "no container engine answers".into(),
            why,
        })
    }

    async fn ping() -> Result<Engine, String> {
        let docker = docker_client_instance()
            .await
            .map_err(|error| error.to_string())?;
        docker.ping().await.map_err(|error| error.to_string())?;
        Ok(Engine { docker })
    }

    /// The program that `image` starts with, after pulling the image within `patience` if the
    /// engine has none of that name.
    pub(super) async fn entrypoint(
        &self,
        image: &str,
        patience: Duration,
    ) -> Result<Vec<String>, StartError> {
        let failed = |why| StartError::Container {
            what: format!("no image {image}"),
            why,
        };
        let mut found = self.docker.inspect_image(image).await;
        if let Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) = found
        {
            let pull = ContainerRequest::from(generic(image)).pull_image();
            match tokio::time::timeout(patience, pull).await {
                Ok(Ok(_)) => found = self.docker.inspect_image(image).await,
                Ok(Err(error)) => return Err(failed(format!("the engine has none, and {error}"))),
                Err(_) => {
                    let seconds = patience.as_secs();
                    return Err(failed(format!("pulling it was not done in {seconds} s")));
                }
            }
        }
        let config = found
            .map_err(|error| failed(error.to_string()))?
            .config
            .unwrap_or_default();
        Ok(config.entrypoint.unwrap_or_default())
    }

    /// Removes the containers whose owners have died without doing so.
    pub(super) async fn sweep(&self) -> Result<(), Error> {
        self.remove_where(|label| Owner::parse(label).is_some_and(|owner| owner.is_dead()))
            .await
    }

    /// Removes the container whose owner label is `label`.
    pub(super) async fn remove(&self, label: &str) -> Result<(), Error> {
        self.remove_where(|other| other == label).await
    }

    async fn remove_where(&self, condemned: impl Fn(&str) -> bool) -> Result<(), Error> {
        let filters = HashMap::from([("label", vec![OWNER])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        for container in self.docker.list_containers(Some(options)).await? {
            let labels = container.labels.unwrap_or_default();
            let Some(id) = container.id else { continue };
            if labels.get(OWNER).is_some_and(|label| condemned(label)) {
                let options = RemoveContainerOptionsBuilder::new()
                    .force(true)
                    .v(true)
                    .build();
                match self.docker.remove_container(&id, Some(options)).await {
                    // Somebody else may be removing it at the same time.
                    Ok(())
                    | Err(Error::DockerResponseServerError {
                        status_code: 404 | 409,
                        ..
                    }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// The image `name`, `name:tag` or `name@digest`.
pub(super) fn generic(image: &str) -> GenericImage {
    let after_slash = image.rfind('/').map_or(0, |at| at + 1);
    match image[after_slash..].rfind(':') {
        Some(colon) => {
            let (name, tag) = image.split_at(after_slash + colon);
            GenericImage::new(name, &tag[1..])
        }
        None => GenericImage::new(image, "latest"),
    }
}
