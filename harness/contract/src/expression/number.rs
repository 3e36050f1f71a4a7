//! Exact fractions.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A fraction in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    numerator: i128,
    /// Above 0.
    denominator: i128,
}

/// Why there is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It does not fit.
    #[error("a number is too large")]
    TooLarge,
    /// Something was divided by 0.
    #[error("a number is divided by 0")]
    DividedByZero,
    /// A text that is none.
    #[error("it is not a number")]
    NotANumber,
}

impl Number {
    /// A fraction, brought to its lowest terms.
    fn new(numerator: i128, denominator: i128) -> Result<Self, NumberError> {
        if denominator == 0 {
            return Err(NumberError::DividedByZero);
        }
        let divisor = greatest_common_divisor(numerator.unsigned_abs(), denominator.unsigned_abs());
        let divisor = i128::try_from(divisor).map_err(|_| NumberError::TooLarge)?;
        let divisor = if denominator < 0 { -divisor } else { divisor };
        let by = |it: i128| it.checked_div(divisor).ok_or(NumberError::TooLarge);
        Ok(Self {
            numerator: by(numerator)?,
            denominator: by(denominator)?,
        })
    }

    pub(super) fn plus(self, other: Self) -> Result<Self, NumberError> {
        let numerator = times(self.numerator, other.denominator)?
            .checked_add(times(other.numerator, self.denominator)?)
            .ok_or(NumberError::TooLarge)?;
        Self::new(numerator, times(self.denominator, other.denominator)?)
    }

    pub(super) fn minus(self, other: Self) -> Result<Self, NumberError> {
        self.plus(other.negative()?)
    }

    pub(super) fn negative(self) -> Result<Self, NumberError> {
        Self::new(times(self.numerator, -1)?, self.denominator)
    }

    pub(super) fn times(self, other: Self) -> Result<Self, NumberError> {
        Self::new(
            times(self.numerator, other.numerator)?,
            times(self.denominator, other.denominator)?,
        )
    }

    pub(super) fn over(self, other: Self) -> Result<Self, NumberError> {
        Self::new(
            times(self.numerator, other.denominator)?,
            times(self.denominator, other.numerator)?,
        )
    }

    pub(super) fn compare(self, other: Self) -> Result<Ordering, NumberError> {
        Ok(self.minus(other)?.numerator.cmp(&0))
    }
}

fn times(a: i128, b: i128) -> Result<i128, NumberError> {
    a.checked_mul(b).ok_or(NumberError::TooLarge)
}

/// Euclid's; that of anything and 0 is the other one.
fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

impl Default for Number {
    fn default() -> Self {
        0.into()
    }
}

impl From<i64> for Number {
    fn from(whole: i64) -> Self {
        Self {
            numerator: whole.into(),
            denominator: 1,
        }
    }
}

/// As PostgreSQL prints whole numbers and decimals: `12`, `-0.50`, `1.5e-07`.
impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let exponent = exponent.parse::<i32>();
                (mantissa, exponent.map_err(|_| NumberError::NotANumber)?)
            }
            None => (text, 0),
        };
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.trim_start_matches(['-', '+']);
        let are_digits = digits
            .bytes()
            .chain(decimals.bytes())
            .all(|it| it.is_ascii_digit());
        if !are_digits || digits.is_empty() || whole.len() - digits.len() > 1 {
            return Err(NumberError::NotANumber);
        }
        let numerator = format!("{whole}{decimals}").parse();
        let numerator = numerator.map_err(|_| NumberError::TooLarge)?;
        let places = i32::try_from(decimals.len()).map_err(|_| NumberError::TooLarge)?;
        let power = exponent.checked_sub(places).ok_or(NumberError::TooLarge)?;
        let scale = 10_i128.checked_pow(power.unsigned_abs());
        let scale = scale.ok_or(NumberError::TooLarge)?;
        if power < 0 {
            Self::new(numerator, scale)
        } else {
            Self::new(times(numerator, scale)?, 1)
        }
    }
}

/// `3`, `-1/2`.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.numerator.fmt(f)?;
        match self.denominator {
            1 => Ok(()),
            denominator => write!(f, "/{denominator}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(number("0.1").plus(number("0.2")), Ok(number("0.30")));
        assert_eq!(number("-1.5").to_string(), "-3/2");
        assert_eq!(number("1.5e-1"), number("0.15"));
        assert_eq!(number("2e3"), number("2000.00"));
        assert_eq!(number("1").over(number("-3")).unwrap().to_string(), "-1/3");
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_is_an_error() {
        for text in ["", "-", "a", "1.2.3", "--1", "1e", "NaN", "1,000", " 1"] {
            assert_eq!(
                text.parse::<Number>(),
                Err(NumberError::NotANumber),
                "{text}"
            );
        }
        let large = number("170141183460469231731687303715884105727");
        assert_eq!(large.plus(1.into()), Err(NumberError::TooLarge));
        assert_eq!("1e99".parse::<Number>(), Err(NumberError::TooLarge));
        assert_eq!(number("1").over(0.into()), Err(NumberError::DividedByZero));
    }
}
