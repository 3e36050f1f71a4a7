//! Values of the common types in a form that people read.
//!
//! A trace is for eyes, so a value that this file does not know is shown in
//! hexadecimal and never guessed. Type numbers are those of `pg_type.dat`, which never change.

use std::fmt::Write;

const BINARY: i16 = 1;
/// Longest value shown whole, in bytes.
const SHOWN_AT_MOST: usize = 1024;
const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's own time begins.
const EPOCH_DAYS: i64 = 10_957;

/// The text of one value, given its type's oid (0: unknown) and its format code on the wire.
pub(super) fn text(oid: u32, format: i16, bytes: &[u8]) -> String {
    if format != BINARY {
        return clipped(bytes);
    }
    known_binary(oid, bytes).unwrap_or_else(|| hexadecimal(bytes))
}

/// The format of the i-th value where `formats` lists none, one for all, or one each.
pub(super) fn format_of(formats: &[i16], index: usize) -> i16 {
    match formats {
        [one] => *one,
        many => many.get(index).copied().unwrap_or_default(),
    }
}

fn known_binary(oid: u32, bytes: &[u8]) -> Option<String> {
    Some(match oid {
        16 => if bytes == [0] { "f" } else { "t" }.to_owned(),
        20 => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        21 => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        23 => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        26 => u32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        700 => f32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        701 => f64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        // char, name, text, json, unknown, bpchar, varchar
        18 | 19 | 25 | 114 | 705 | 1042 | 1043 => clipped(bytes),
        1082 => date(i64::from(i32::from_be_bytes(bytes.try_into().ok()?))),
        1114 => timestamp(i64::from_be_bytes(bytes.try_into().ok()?)),
        1184 => timestamp(i64::from_be_bytes(bytes.try_into().ok()?)) + "+00",
        // bool[], int2[], int4[], text[], varchar[], int8[]
        1000 | 1005 | 1007 | 1009 | 1015 | 1016 => clipped(array(bytes)?.as_bytes()),
        _ => return None,
    })
}

/// An array of one dimension as PostgreSQL writes it (array_send): `{1,2,NULL}`, a text in quotes.
fn array(bytes: &[u8]) -> Option<String> {
    let (header, mut rest) = bytes.split_at_checked(12)?;
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let (dimensions, element) = (number(0)?, number(8)?);
    if dimensions == 0 {
        return Some("{}".to_owned());
    }
    let (bounds, elements) = rest.split_at_checked(8)?;
    rest = elements;
    let count = u32::from_be_bytes(bounds[..4].try_into().ok()?);
    if dimensions != 1 {
        return None;
    }
    let mut shown = Vec::new();
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            shown.push("NULL".to_owned());
            rest = after;
            continue;
        };
        let (value, after) = after.split_at_checked(length)?;
        let text = known_binary(element, value)?;
        shown.push(match element {
            25 | 1043 => format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"")),
            _ => text,
        });
        rest = after;
    }
    Some(format!("{{{}}}", shown.join(",")))
}

fn clipped(bytes: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_AT_MOST)]).into_owned();
    if bytes.len() <= SHOWN_AT_MOST {
        shown
    } else {
        format!("{shown}… ({} bytes)", bytes.len())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut shown = String::from("\\x");
    for byte in &bytes[..bytes.len().min(SHOWN_AT_MOST / 2)] {
        write!(shown, "{byte:02x}").expect("a string takes everything");
    }
    if bytes.len() > SHOWN_AT_MOST / 2 {
        write!(shown, "… ({} bytes)", bytes.len()).expect("a string takes everything");
    }
    shown
}

fn timestamp(micros: i64) -> String {
    match micros {
        i64::MAX => return "infinity".to_owned(),
        i64::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let (seconds, fraction) = (
        micros.div_euclid(MICROS_PER_SECOND),
        micros.rem_euclid(MICROS_PER_SECOND),
    );
    let (days, second) = (
        seconds.div_euclid(SECONDS_PER_DAY),
        seconds.rem_euclid(SECONDS_PER_DAY),
    );
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{} {hour:02}:{minute:02}:{second:02}.{fraction:06}",
        date(days)
    )
}

/// The civil date of a day counted from 2000-01-01 (Howard Hinnant's `civil_from_days`).
fn date(days: i64) -> String {
    let shifted = days + EPOCH_DAYS + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_binary_types_are_readable() {
        assert_eq!(text(20, 1, &(-7i64).to_be_bytes()), "-7");
        assert_eq!(text(23, 1, &42i32.to_be_bytes()), "42");
        assert_eq!(text(16, 1, &[1]), "t");
        assert_eq!(text(25, 1, "größe".as_bytes()), "größe");
        assert_eq!(
            text(1184, 1, &0i64.to_be_bytes()),
            "2000-01-01 00:00:00.000000+00"
        );
        let leap_day = 59 * SECONDS_PER_DAY * MICROS_PER_SECOND;
        assert_eq!(
            text(1114, 1, &leap_day.to_be_bytes()),
            "2000-02-29 00:00:00.000000"
        );
        assert_eq!(
            text(1114, 1, &(-1i64).to_be_bytes()),
            "1999-12-31 23:59:59.999999"
        );
        assert_eq!(text(1082, 1, &9_822i32.to_be_bytes()), "2026-11-22");
    }

    #[test]
    fn arrays_of_one_dimension_are_readable() {
        let array = |element: u32, values: &[Option<&[u8]>]| {
            let mut bytes = Vec::new();
            for number in [1, 1, element, values.len() as u32, 1] {
                bytes.extend(number.to_be_bytes());
            }
            for value in values {
                let length = value.map_or(-1, |value| value.len() as i32);
                bytes.extend(length.to_be_bytes());
                bytes.extend(value.unwrap_or_default());
            }
            bytes
        };
        let (one, minus) = (1i64.to_be_bytes(), (-2i64).to_be_bytes());
        let integers = array(20, &[Some(&one), None, Some(&minus)]);
        assert_eq!(text(1016, 1, &integers), "{1,NULL,-2}");
        assert_eq!(text(1009, 1, &array(25, &[Some(b"a\"b,")])), r#"{"a\"b,"}"#);
        assert_eq!(text(1016, 1, &[0; 12]), "{}");
        assert!(text(1016, 1, &integers[..30]).starts_with("\\x"));
    }

    #[test]
    fn an_unknown_or_impossible_value_is_hexadecimal() {
        assert_eq!(text(2950, 1, &[0xab, 0x01]), "\\xab01");
        assert_eq!(text(20, 1, &[1]), "\\x01");
    }

    #[test]
    fn text_format_needs_no_type() {
        assert_eq!(text(20, 0, b"17"), "17");
        assert!(text(25, 0, &[b'x'; 5000]).ends_with("xx… (5000 bytes)"));
    }

    #[test]
    fn one_format_stands_for_all_and_none_for_text() {
        assert_eq!(format_of(&[1], 5), 1);
        assert_eq!(format_of(&[], 5), 0);
        assert_eq!(format_of(&[0, 1], 1), 1);
    }
}
