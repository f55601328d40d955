//! What people and scripts see: data on stdout as a table or as JSON, everything else on stderr.
//!
//! Colours only where stdout is a terminal and `NO_COLOR` is not set. A reader that goes away (`| head`) is no error.

use crate::error::Error;
use clap::ValueEnum;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle,
};
use serde::Serialize;
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For scripts: one JSON value.
    Json,
}

/// What a text means, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    Plain,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// To be looked at.
    Warn,
    /// Less important than the rest.
    Dim,
    /// More important than the rest.
    Strong,
}

/// Where results go.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    is_terminal: bool,
    colours: bool,
}

/// Columns of a terminal below which tables are not folded.
const WIDTH_MIN: u16 = 40;

/// No borders, a line below the headings.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::new(' ', ' ', ' '))
    .header_separator(LineStyle::new(' ', '─', '─', '─'))
    .content_lines(ContentLineStyle::new(' ', ' ', ' '));

impl Output {
    /// Output to this process's stdout.
    pub(crate) fn new(format: Format) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, is_terminal, colours: is_terminal && !no_colour }
    }

    /// Whether scripts read it.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints one JSON value.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(value).map_err(|error| Error::Print(error.into()))?;
        self.print(&format!("{text}\n"))
    }

    /// Prints text as it is.
    pub(crate) fn print(&self, text: &str) -> Result<(), Error> {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Print(error)),
            _ => Ok(()),
        }
    }

    /// `text` in the colour of `tone`.
    pub(crate) fn paint(&self, tone: Tone, text: impl Display) -> String {
        let code = match tone {
            _ if !self.colours => return text.to_string(),
            Tone::Plain => return text.to_string(),
            Tone::Good => "1;32",
            Tone::Bad => "1;31",
            Tone::Warn => "33",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// An empty table. A heading that begins with `>` has its column on the right.
    pub(crate) fn table(&self, headings: &[&str]) -> Table {
        let mut table = Table::new();
        table.load_style(STYLE);
        match self.colours {
            true => table.enforce_styling(),
            false => table.force_no_tty(),
        };
        // A terminal that does not know its width says zero.
        if self.is_terminal && table.width().is_some_and(|width| width >= WIDTH_MIN) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.set_header(headings.iter().map(|heading| cell(Tone::Strong, heading.trim_start_matches('>'))));
        for (column, heading) in table.column_iter_mut().zip(headings) {
            column.set_padding((0, 1));
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

/// A cell in the colour of `tone`. Texts come from other nodes too: what could steer a terminal is shown as U+FFFD.
pub(crate) fn cell(tone: Tone, text: impl Display) -> Cell {
    let cell = Cell::new(text.to_string().replace(char::is_control, "\u{FFFD}"));
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Tone::Warn => cell.fg(Color::Yellow),
        Tone::Dim => cell.add_attribute(Attribute::Dim),
        Tone::Strong => cell.add_attribute(Attribute::Bold),
    }
}

/// The table as text, each line ending with a line break and without trailing blanks.
pub(crate) fn rendered(table: &Table) -> String {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A message for people, on stderr.
pub(crate) fn note(message: impl Display) {
    // Nobody is left to be told when stderr is gone.
    let _ = writeln!(std::io::stderr().lock(), "{message}");
}

/// An error for people, on stderr.
pub(crate) fn complain(error: &Error) {
    let _ = writeln!(std::io::stderr().lock(), "relaymesh: {error}");
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `one` thing or `number` things.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Events per second as people say it: `1.26 M/s`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        fast if fast >= 1e6 => format!("{:.2} M/s", fast / 1e6),
        fast if fast >= 1e3 => format!("{:.0} k/s", fast / 1e3),
        slow => format!("{slow:.0} /s"),
    }
}

/// `count` per second, or nothing where no time has passed.
pub(crate) fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (count as f64 / seconds).round() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12.3, 12_345.0, 1_260_000.0].map(rate), ["12 /s", "12 k/s", "1.26 M/s"]);
        assert_eq!([counted(1, "run"), counted(2, "run")], ["1 run", "2 runs"]);
    }
}
