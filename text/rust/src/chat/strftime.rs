//! strftime_now(format), from a wall clock that the caller reads.

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// `seconds` since 1970 on the local wall clock; None for a letter that is
/// not known here.
pub fn strftime(format: &str, seconds: i64) -> Option<String> {
    // Some thousand years about now; nothing beyond is a date.
    let seconds = seconds.clamp(-(1 << 35), 1 << 36);
    let day = seconds.div_euclid(86400);
    let clock = seconds.rem_euclid(86400);
    let (year, month, date) = civil(day);
    let weekday = (day + 3).rem_euclid(7) as usize;
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let year_day = day - days_before(year) + 1;
    let mut out = String::new();
    let mut letters = format.chars();
    while let Some(one) = letters.next() {
        if one != '%' {
            out.push(one);
            continue;
        }
        let mut letter = letters.next()?;
        let bare = letter == '-';
        if bare {
            letter = letters.next()?;
        }
        let number = |value: i64, width: usize| {
            if bare {
                value.to_string()
            } else {
                format!("{value:0width$}")
            }
        };
        let hour12 = (hour + 11) % 12 + 1;
        out.push_str(&match letter {
            'Y' => number(year, 4),
            'y' => number(year.rem_euclid(100), 2),
            'm' => number(month, 2),
            'd' => number(date, 2),
            'H' => number(hour, 2),
            'I' => number(hour12, 2),
            'M' => number(minute, 2),
            'S' => number(second, 2),
            'j' => number(year_day, 3),
            'p' => if hour < 12 { "AM" } else { "PM" }.to_string(),
            'A' => DAYS[weekday].to_string(),
            'a' => DAYS[weekday][..3].to_string(),
            'B' => MONTHS[month as usize - 1].to_string(),
            'b' => MONTHS[month as usize - 1][..3].to_string(),
            'F' => format!("{year:04}-{month:02}-{date:02}"),
            'T' => format!("{hour:02}:{minute:02}:{second:02}"),
            '%' => "%".to_string(),
            _ => return None,
        });
    }
    Some(out)
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil(day: i64) -> (i64, i64, i64) {
    let mut year = 1970 + day.div_euclid(366);
    while days_before(year + 1) <= day {
        year += 1;
    }
    let mut rest = day - days_before(year);
    let leap = days_before(year + 1) - days_before(year) == 366;
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

/// Days from 1970-01-01 to the first of January of `year`.
fn days_before(year: i64) -> i64 {
    let past = year - 1;
    365 * (year - 1970) + past.div_euclid(4) - past.div_euclid(100)
        + past.div_euclid(400)
        - 477
}
