use super::Browser;
use serde_json::json;

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A wide window, light.
    Light,
    /// A wide window, dark.
    Dark,
    /// A phone, held upright, light.
    Phone,
}

impl Look {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::Phone];

    /// In a file's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Phone => "phone",
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Light | Self::Phone => "light",
            Self::Dark => "dark",
        }
    }

    /// In CSS pixels.
    fn size(self) -> (u32, u32) {
        match self {
            Self::Light | Self::Dark => (1_280, 800),
            Self::Phone => (390, 844),
        }
    }
}

impl Browser {
    /// Shows this page and those to come in this way.
    pub async fn look(&self, look: Look) {
        let scheme = json!([{"name": "prefers-color-scheme", "value": look.scheme()}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": scheme})).await;
        let (width, height) = look.size();
        let phone = look == Look::Phone;
        let window = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.devtools("Emulation.setDeviceMetricsOverride", window).await;
    }

    /// Whether the scripts of pages that are opened from now on run.
    pub async fn runs_scripts(&self, runs: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({"value": !runs})).await;
    }
}
