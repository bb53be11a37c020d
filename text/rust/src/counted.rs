//! Patterns written so that Oniguruma counts what they read.
//!
//! It counts retries: what a loop has taken and must give back. But it reads
//! without counting where it knows that nothing will be given back: a* before
//! b, a*+, (?>a*), (?=a*). So `a*b` on a run of n a's reads n characters at
//! each of n places for nothing. Here
//!
//! - every open loop is followed by an empty look-ahead, which hides from the
//!   optimiser what comes next: what it takes can be given back again;
//! - a possessive loop over one character, a*+, becomes a*(?!a), which matches
//!   the same;
//! - a loop inside a look-around, an atomic group or a possessive group stays
//!   as it is, and the pattern gets a `shadow` in which all of these are plain
//!   optional groups, and which never matches. It tries in vain whatever the
//!   pattern reads at a place, and every character of that is a retry.
//!
//! What the pattern matches stays the same, character by character.

/// Atoms that a pattern may have, each counted as often as it must repeat.
const MOST_WEIGHT: u64 = 1 << 16;

pub struct Counted {
    pub pattern: String,
    pub shadow: Option<String>,
    /// The most that is compared between two retries.
    pub weight: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Group {
    Plain,
    /// What it has read is never given back, and not counted.
    Silent,
    Behind,
}

struct Open {
    kind: Group,
    weight: u64,  // of what came before it
    start: usize, // in the shadow
}

struct Writer<'s> {
    rest: &'s str,
    out: Counted,
    shadow: String,
    groups: Vec<Open>,
    silent: usize, // groups open whose reading is not counted
}

/// The error says what is not supported.
pub fn counted(source: &str) -> Result<Counted, String> {
    let mut writer = Writer {
        rest: source,
        out: Counted {
            pattern: String::with_capacity(2 * source.len()),
            shadow: None,
            weight: 0,
        },
        shadow: String::with_capacity(2 * source.len()),
        groups: Vec::new(),
        silent: 0,
    };
    writer.run()?;
    Ok(writer.out)
}

fn unsupported<T>(what: &str) -> Result<T, String> {
    Err(format!("no support for {what} in a pattern"))
}

impl Writer<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut hidden = false;
        while let Some(first) = self.rest.chars().next() {
            match first {
                '|' => {
                    let bar = self.take(1);
                    self.both(&bar);
                }
                '(' => self.open()?,
                ')' => hidden |= self.close()?,
                _ => hidden |= self.atom(first)?,
            }
            if self.out.weight > MOST_WEIGHT {
                return unsupported("so many repeated characters");
            }
        }
        if hidden {
            self.out.shadow = Some(format!("(?:{})(?!)", self.shadow));
        }
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> String {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken.to_string()
    }

    fn both(&mut self, text: &str) {
        self.out.pattern.push_str(text);
        self.shadow.push_str(text);
    }

    fn open(&mut self) -> Result<(), String> {
        let (kind, head) = group(self.rest)?;
        let head = self.take(head);
        if head.ends_with(')') {
            // Options for what follows.
            self.both(&head);
            return Ok(());
        }
        let start = self.shadow.len();
        self.out.pattern.push_str(&head);
        self.shadow
            .push_str(if kind == Group::Plain { &head } else { "(?:" });
        self.silent += usize::from(kind != Group::Plain);
        self.groups.push(Open {
            kind,
            weight: std::mem::take(&mut self.out.weight),
            start,
        });
        Ok(())
    }

    /// True: a loop over this group is not counted.
    fn close(&mut self) -> Result<bool, String> {
        let Some(group) = self.groups.pop() else {
            return Err("a closing parenthesis too many".into());
        };
        self.take(1);
        self.both(")");
        self.silent -= usize::from(group.kind != Group::Plain);
        if group.kind != Group::Plain {
            self.shadow.push('?');
            // A loop around it would not be one around this `?`.
            self.shadow.insert_str(group.start, "(?:");
            self.shadow.push(')');
        }
        let inner = self.out.weight;
        let hidden = self.repeat(None, inner)?;
        self.out.weight = self.out.weight.saturating_add(group.weight);
        Ok(hidden)
    }

    fn atom(&mut self, first: char) -> Result<bool, String> {
        let bytes = match first {
            '[' => class(self.rest)?,
            '\\' => escape(self.rest)?,
            _ => first.len_utf8(),
        };
        let atom = self.take(bytes);
        self.both(&atom);
        let before = std::mem::take(&mut self.out.weight);
        let hidden = self.repeat(Some(&atom), 1)?;
        self.out.weight = self.out.weight.saturating_add(before);
        Ok(hidden)
    }

    /// The quantifiers behind an atom or a group that weighs `weight`.
    fn repeat(
        &mut self,
        atom: Option<&str>,
        weight: u64,
    ) -> Result<bool, String> {
        self.out.weight = weight;
        let mut endless = false;
        let mut loops = false;
        let mut possessive = false;
        while let Some((bytes, least, most)) = quantifier(self.rest) {
            let mut text = self.take(bytes);
            let interval = text.starts_with('{');
            loops |= most != Some(1) || least > 1;
            endless |= most.is_none();
            self.out.weight = self.out.weight.saturating_mul(least.max(1));
            if self.rest.starts_with('?') {
                text += &self.take(1);
            } else if !interval && self.rest.starts_with('+') {
                self.take(1);
                self.shadow.push_str(&text);
                match atom {
                    Some(atom) if most.is_none() => {
                        // Alone: a*+ of a quantified atom is another thing.
                        if quantifier(self.rest).is_some() {
                            return unsupported("a loop over a loop");
                        }
                        self.out.pattern.push_str(&format!("{text}(?!{atom})"));
                    }
                    _ => {
                        possessive |= atom.is_none();
                        self.out.pattern.push_str(&format!("{text}+"));
                    }
                }
                continue;
            }
            self.both(&text);
        }
        if loops && self.groups.iter().any(|open| open.kind == Group::Behind) {
            return unsupported("a loop in a look-behind");
        }
        // At the end of an alternative nothing comes next.
        let last = self.groups.is_empty()
            && (self.rest.is_empty() || self.rest.starts_with('|'));
        if endless && !last && !self.rest.starts_with("(?!") {
            self.both("(?=)");
        }
        Ok(loops && self.silent > 0 || possessive)
    }
}

/// What a group is, and how many bytes open it.
fn group(text: &str) -> Result<(Group, usize), String> {
    let Some(inner) = text.strip_prefix("(?") else {
        if text.starts_with("(*") {
            return unsupported("(*");
        }
        return Ok((Group::Plain, 1));
    };
    for (head, kind) in [
        (":", Group::Plain),
        ("=", Group::Silent),
        ("!", Group::Silent),
        (">", Group::Silent),
        ("<=", Group::Behind),
        ("<!", Group::Behind),
    ] {
        if inner.starts_with(head) {
            return Ok((kind, 2 + head.len()));
        }
    }
    let quote = if inner.starts_with('\'') { '\'' } else { '>' };
    if inner.starts_with(['<', '\'']) {
        return match inner[1..].find(quote) {
            Some(end) => Ok((Group::Plain, 2 + end + 2)),
            None => Err("a group's name without an end".into()),
        };
    }
    let options = inner
        .find(|one: char| !matches!(one, 'i' | 'm' | 's' | '-'))
        .unwrap_or(inner.len());
    match inner[options..].chars().next() {
        Some(':' | ')') if options > 0 => Ok((Group::Plain, 2 + options + 1)),
        other => unsupported(&format!(
            "(?{}",
            other.map_or(String::new(), String::from)
        )),
    }
}

/// The bytes of a class, classes within it included.
fn class(text: &str) -> Result<usize, String> {
    let mut depth = 0;
    let mut first = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, one)) = chars.next() {
        match one {
            '\\' => {
                chars.next();
            }
            '[' => {
                depth += 1;
                first = true;
                chars.next_if(|&(_, next)| next == '^');
                continue;
            }
            // At a class's start it stands for itself.
            ']' if !first => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
        first = false;
    }
    Err("a class without an end".into())
}

fn escape(text: &str) -> Result<usize, String> {
    let Some(which) = text[1..].chars().next() else {
        return Err("a backslash at the end".into());
    };
    // References read what a group has read once more, and \X, \R and \K are
    // not one character; control characters have a grammar of their own.
    if matches!(
        which,
        '1'..='9' | 'k' | 'g' | 'X' | 'R' | 'K' | 'c' | 'C' | 'M' | 'y' | 'Y'
    ) {
        return unsupported(&format!("\\{which}"));
    }
    let bytes = 1 + which.len_utf8();
    let rest = &text[bytes..];
    let digits = |most: usize| {
        rest.bytes()
            .take(most)
            .take_while(u8::is_ascii_hexdigit)
            .count()
    };
    Ok(bytes
        + match which {
            'p' | 'P' | 'x' | 'o' if rest.starts_with('{') => {
                match rest.find('}') {
                    Some(end) => end + 1,
                    None => return Err(format!("\\{which}{{ without an end")),
                }
            }
            'x' => digits(2),
            'u' => digits(4),
            '0' => digits(2),
            _ => 0,
        })
}

/// The bytes of a quantifier without its suffix, its least and greatest number.
fn quantifier(text: &str) -> Option<(usize, u64, Option<u64>)> {
    match text.bytes().next()? {
        b'*' => Some((1, 0, None)),
        b'+' => Some((1, 1, None)),
        b'?' => Some((1, 0, Some(1))),
        b'{' => {
            let inner = &text[1..text.find('}')?];
            let number = |digits: &str| {
                digits.bytes().all(|one| one.is_ascii_digit()).then(|| {
                    if digits.is_empty() {
                        None
                    } else {
                        Some(digits.parse::<u64>().unwrap_or(u64::MAX))
                    }
                })
            };
            let bytes = inner.len() + 2;
            match inner.split_once(',') {
                None => {
                    let exact = number(inner)??;
                    Some((bytes, exact, Some(exact)))
                }
                Some((least, most)) => {
                    let (least, most) = (number(least)?, number(most)?);
                    // {,} stands for itself.
                    if least.is_none() && most.is_none() {
                        return None;
                    }
                    Some((bytes, least.unwrap_or(0), most))
                }
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    fn written(source: &str) -> String {
        counted(source).unwrap().pattern
    }

    #[test]
    fn loops_are_followed_by_an_empty_look_ahead() {
        assert_eq!(written("a*b"), "a*(?=)b");
        assert_eq!(written("(?:ab)+?c|d*"), "(?:ab)+?(?=)c|d*");
        assert_eq!(written(r"\s+(?!\S)|\s+"), r"\s+(?!\S)|\s+");
        assert_eq!(written(r"[^\]*]{2,}x{3}{"), r"[^\]*]{2,}(?=)x{3}{");
    }

    #[test]
    fn possessive_loops_over_one_character_give_nothing_back_either() {
        assert_eq!(written(r"\p{L}++b"), r"\p{L}+(?!\p{L})(?=)b");
        assert_eq!(written("a?+b"), "a?+b");
    }

    #[test]
    fn what_cannot_be_counted_has_a_shadow() {
        let shadow = |source| counted(source).unwrap().shadow;
        assert_eq!(shadow(r"\d{1,3}(?=\d)"), None);
        assert_eq!(
            shadow("(?=(?:ab)+c)d").unwrap(),
            "(?:(?:(?:(?:ab)+(?=)c)?)d)(?!)"
        );
        assert_eq!(shadow("(?>a*)b").unwrap(), "(?:(?:(?:a*(?=))?)b)(?!)");
        assert_eq!(shadow("(?:ab)*+b").unwrap(), "(?:(?:ab)*(?=)b)(?!)");
    }
}
