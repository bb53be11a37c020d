//! Fuel: what a template may spend on steps, bytes and values together.
//!
//! Every value made is charged by its size before it is made, and every value
//! looked at by its size too, so fuel bounds time and memory alike, with no
//! look at a clock: the same template fails at the same place everywhere.

use crate::failure::{fail, Code, Outcome};

const STEP: u64 = 8;
const VALUE: u64 = 32;
const MAX_DEPTH: usize = 2000;

pub struct Meter {
    left: u64,
    depth: usize,
}

impl Meter {
    pub fn new(fuel: u64) -> Meter {
        Meter {
            left: fuel,
            depth: 0,
        }
    }

    pub fn step(&mut self) -> Outcome<()> {
        self.pay(STEP)
    }

    /// `bytes` of text are made or looked at.
    pub fn text(&mut self, bytes: usize) -> Outcome<()> {
        self.pay(bytes as u64)
    }

    /// `count` values are put into a list or map, or taken out of one.
    pub fn values(&mut self, count: usize) -> Outcome<()> {
        self.pay((count as u64).saturating_mul(VALUE))
    }

    pub fn pay(&mut self, price: u64) -> Outcome<()> {
        if price > self.left {
            self.left = 0;
            return fail(
                Code::Exhausted,
                "chat_template: out of fuel; it loops too long or makes too \
                 much text",
            );
        }
        self.left -= price;
        Ok(())
    }

    pub fn enter(&mut self) -> Outcome<()> {
        self.step()?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return fail(
                Code::Exhausted,
                format!("chat_template: nested deeper than {MAX_DEPTH}"),
            );
        }
        Ok(())
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }
}
