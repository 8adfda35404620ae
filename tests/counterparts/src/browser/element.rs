use super::session::Session;
use serde_json::{Value, json};

/// The member that makes a JSON object an element (W3C WebDriver, section 12.1).
const MARK: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Something on a page, as long as the page is there.
#[derive(Debug)]
pub struct Element {
    session: Session,
    id: String,
}

impl Element {
    pub(super) fn new(session: &Session, found: &Value) -> Self {
        let id = found[MARK].as_str().expect("what is found is an element").to_owned();
        Self { session: session.clone(), id }
    }

    /// Scrolls to it and clicks in its middle, where nothing may cover it.
    pub async fn click(&self) {
        self.session.post(&self.path("click"), json!({})).await;
    }

    /// Types behind what is there already. Keys without a character are those of W3C WebDriver, section 17.4.2.
    pub async fn type_text(&self, text: &str) {
        self.session.post(&self.path("value"), json!({"text": text})).await;
    }

    /// Empties a field.
    pub async fn clear(&self) {
        self.session.post(&self.path("clear"), json!({})).await;
    }

    /// The text that it shows.
    pub async fn text(&self) -> String {
        self.session.get(&self.path("text")).await.as_str().unwrap_or_default().to_owned()
    }

    /// An attribute, where it has it.
    pub async fn attribute(&self, name: &str) -> Option<String> {
        self.session.get(&self.path(&format!("attribute/{name}"))).await.as_str().map(str::to_owned)
    }

    /// Its name for a screen reader (W3C WebDriver, section 12.4.10).
    pub async fn accessible_name(&self) -> String {
        self.session.get(&self.path("computedlabel")).await.as_str().unwrap_or_default().to_owned()
    }

    fn path(&self, what: &str) -> String {
        format!("/element/{}/{what}", self.id)
    }
}
