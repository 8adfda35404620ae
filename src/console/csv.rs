//! Lists as files: CSV (RFC 4180), in UTF-8.

use super::cell::Cell;
use super::client::{Api, At};
use super::frame::Answer;
use super::list::Here;
use super::refusal::Refusal;
use crate::api::Page;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use futures_util::stream;
use serde::de::DeserializeOwned;

/// Items that are asked for at once.
const AT_ONCE: &str = "1000";
/// What spreadsheets take for the beginning of a formula, and run.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// An item of a list as a row of a table.
pub(super) trait Row {
    /// What the columns are called.
    const COLUMNS: &'static [&'static str];
    /// What to do where there are none.
    const EMPTY: &'static str;
    /// One for each column; `base` is where the pages of the tenant are.
    fn cells(&self, base: &str) -> Vec<Cell>;
}

/// A part of a list, as the API gives it.
pub(super) trait Part: DeserializeOwned + Send + 'static {
    /// What it is a list of.
    type Item: Row;
    /// Its items, and what to add to the query for those that follow.
    fn split(self) -> (Vec<Self::Item>, Option<(&'static str, String)>);
}

impl<T: Row + DeserializeOwned + Send + 'static> Part for Page<T> {
    type Item = T;

    fn split(self) -> (Vec<T>, Option<(&'static str, String)>) {
        (self.items, self.next.map(|after| ("after", after)))
    }
}

/// All that the API lists at `at`, filtered as `here` says, as a file of this name.
pub(super) async fn export<P: Part>(api: Api, at: At, here: &Here, name: &str) -> Answer {
    let at = here.filtered(at).with("limit", AT_ONCE);
    let (first, place) = api.get::<P>(&at).await?.split();
    let titles: Vec<_> = P::Item::COLUMNS.iter().map(|title| (*title).to_owned()).collect();
    let begin = line(&titles) + &lines(&first);
    let rest = stream::try_unfold(Some((begin, place)), move |state| {
        let (api, at) = (api.clone(), at.clone());
        async move { go_on::<P>(&api, at, state).await }
    });
    let mut response = Body::from_stream(rest).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    let name =
        HeaderValue::try_from(format!("attachment; filename=\"{name}.csv\"")).map_err(|_| Refusal::Unrenderable)?;
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// What is to be sent, and where the list goes on.
type State = Option<(String, Option<(&'static str, String)>)>;

async fn go_on<P: Part>(api: &Api, at: At, state: State) -> Result<Option<(String, State)>, Refusal> {
    let Some((text, place)) = state else { return Ok(None) };
    let Some((name, value)) = place else { return Ok(Some((text, None))) };
    let (items, next) = api.get::<P>(&at.with(name, &value)).await?.split();
    Ok(Some((text, Some((lines(&items), next)))))
}

fn lines<T: Row>(items: &[T]) -> String {
    let texts = |item: &T| item.cells("").iter().map(Cell::text).collect::<Vec<_>>();
    items.iter().map(|item| line(&texts(item))).collect()
}

/// One line; each cell is quoted.
fn line(cells: &[String]) -> String {
    let quoted: Vec<_> = cells.iter().map(|cell| quoted(cell)).collect();
    quoted.join(",") + "\r\n"
}

/// In quotes; what a spreadsheet would run has an apostrophe before it.
fn quoted(cell: &str) -> String {
    let guard = if cell.starts_with(FORMULA) { "'" } else { "" };
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_cell_is_text_to_any_reader() {
        let cells = ["plain", "a \"b\", c\nd", "=cmd|' /C calc'!A0", "+1", "-1", "@x", "\t=1"].map(str::to_owned);
        let expected = "\"plain\",\"a \"\"b\"\", c\nd\",\"'=cmd|' /C calc'!A0\",\"'+1\",\"'-1\",\"'@x\",\"'\t=1\"\r\n";
        assert_eq!(line(&cells), expected);
    }
}
