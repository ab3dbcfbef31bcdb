//! Pages of names, and the line-by-line listings of servers of 2022 and 2023.

use serde::Serialize;
use serde::de::MapAccess;
use zeroize::Zeroizing;

use super::NDJSON;
use super::json::{self, BodyError, FromJson as _, Members, ToJson};
use super::key::writes_json;
use crate::error::KesError;

/// A page of key or policy names, ascending bytewise. An empty page never has a token: clients take it for the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NamePage {
    /// The names.
    pub names: Vec<String>,
    /// The pattern that asks for the next page; left out at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continue_at: Option<String>,
}

impl Members for NamePage {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "names" => self.names = json::plain(map)?,
            "continue_at" => self.continue_at = json::optional_text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A page of identities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IdentityPage {
    /// The identities.
    pub identities: Vec<String>,
    /// The pattern that asks for the next page; left out at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continue_at: Option<String>,
}

impl Members for IdentityPage {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "identities" => self.identities = json::plain(map)?,
            "continue_at" => self.continue_at = json::optional_text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

writes_json!(NamePage, IdentityPage);

/// Is a listing one of those of 2022 and 2023? The type must match exactly, as in other clients.
#[must_use]
pub fn is_ndjson(content_type: Option<&str>) -> bool {
    content_type == Some(NDJSON)
}

/// A whole listing of a server of 2022 or 2023: one object a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NdjsonList {
    /// Names or identities, in the order sent.
    pub names: Vec<String>,
    /// The server failed midway, and said so in the last line.
    pub failure: Option<KesError>,
}

impl NdjsonList {
    /// Reads the lines.
    ///
    /// # Errors
    /// [`BodyError`] when a line does not read.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let mut list = Self::default();
        for line in body
            .split(|b| *b == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
        {
            let line = Line::from_json(line)?;
            if let Some(text) = line.error {
                // The status went out before the failure; the text alone tells what it was.
                list.failure = Some(KesError::from_status_and_text(500, text));
                break;
            }
            list.names.extend(line.name);
        }
        Ok(list)
    }
}

#[derive(Default)]
struct Line {
    name: Option<String>,
    error: Option<String>,
}

impl Members for Line {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "name" | "identity" => self.name = json::optional_text(map)?,
            "error" => self.error = json::optional_text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}
