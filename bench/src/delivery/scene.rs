//! A broker with a long log, whose configuration is changed from one measurement to the next.

use crate::Failure;
use crate::broker::{Broker, Installation, UNLIMITED, run};
use crate::https::Connection;
use audit::finding::Rule;
use http::Request;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _, Executor};
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// A broker with a long log.
pub struct Scene {
    /// Where it runs.
    pub broker: Broker,
    /// How many events its longest log has, at least.
    pub events: u64,
}

impl Scene {
    /// A log of at least so many events, made by the committer as any is.
    pub async fn start(installation: &Installation, events: u64) -> Result<Self, Failure> {
        let broker = Broker::start(installation, "").await?;
        let keyfold = installation.keyfold.clone();
        let fill = |database: std::path::PathBuf| async move {
            let folder = database.parent().ok_or("a database has a folder")?;
            run(&keyfold, |command| {
                command.arg("bench").arg(folder).args(["--fill", &events.to_string()]).stdout(Stdio::null());
            })
        };
        let (broker, _) = broker.restart(fill).await?;
        Ok(Self { broker, events })
    }

    /// Starts the broker anew with these `sections`, no other sinks, and all events before them, but for the sink `through`.
    pub async fn with(self, sections: &str, through: Option<&str>) -> Result<Self, Failure> {
        let Self { broker, events } = self;
        let (broker, _) = broker.restart(|database| async move { prepare(&database, sections, through).await }).await?;
        Ok(Self { broker, events })
    }

    /// Asks for the broker's metrics.
    pub async fn metrics(&self) -> Result<Metrics, Failure> {
        Ok(Metrics(self.broker.endpoint().connect().await?))
    }
}

/// No rule looks at the log.
pub fn without_findings() -> String {
    let rules: Vec<_> = Rule::ALL.iter().map(|rule| format!("\"{}\"", rule.as_str())).collect();
    format!("\n[findings]\noff = [{}]\n", rules.join(", "))
}

/// What `keyfold init` wrote up to its sinks, then what stops nobody, then the sections.
async fn prepare(database: &Path, sections: &str, through: Option<&str>) -> Result<(), Failure> {
    let path = database.with_file_name("keyfold.toml");
    let config = fs::read_to_string(&path)?;
    let end = ["\n[[sinks]]", "\n[rates]"].into_iter().filter_map(|heading| config.find(heading)).min();
    let begin = &config[..end.unwrap_or(config.len())];
    fs::write(&path, format!("{begin}\n{UNLIMITED}{sections}"))?;
    let mut db = SqliteConnectOptions::new().filename(database).connect().await?;
    db.execute("DELETE FROM cursors").await?;
    if let Some(sink) = through {
        let sql = "INSERT INTO cursors (tenant, sink, next_index) SELECT tenant, $1, size FROM log_heads";
        sqlx::query(sql).bind(sink).execute(&mut db).await?;
    }
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    Ok(db.close().await?)
}

/// Reads metrics over one connection.
pub struct Metrics(Connection);

impl Metrics {
    /// The value of a metric, by its name with labels as Prometheus writes them; 0 where it is not there yet.
    pub async fn value(&mut self, name: &str) -> Result<f64, Failure> {
        let answer = self.0.send(Request::get("/metrics"), Vec::new()).await?;
        let text = std::str::from_utf8(&answer.body)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.map_or(Ok(0.0), str::parse)?)
    }
}
