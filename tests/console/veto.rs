//! The page that a veto link leads to, as whoever got the mail sees it.

use crate::gallery::{Page, look_at};
use crate::harness::mail::{told, veto_path};
use crate::harness::{Answer, Raw, TENANT};
use axum::http::header::CONTENT_TYPE;
use counterparts::browser::{self, Browser, Site};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gets_the_mail_reads_the_page_and_stops_the_restore() {
    let (broker, mails, _) = told().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"alice's identity").await;
    let (restore, _) = device.open("identity").await;
    let link = veto_path(&mails.taken_at_least(1).await.remove(0), &broker);

    let browser = Browser::start().await;
    look_at(&browser, &Page { name: "veto", url: broker.url(&link), status: 200 }).await;
    look_at(&browser, &Page { name: "veto-unknown", url: broker.url("/veto/none"), status: 404 }).await;
    browser.go(&broker.url(&link)).await;
    browser.find("button").await.click().await;
    browser.wait_until("return document.querySelector('h1').innerText === 'This restore is stopped'").await;
    let refused: Answer = device.release(&restore).await;
    assert_eq!(refused.code(), "restore_over");
    look_at(&browser, &Page { name: "veto-stopped", url: broker.url(&link), status: 200 }).await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_shows_the_page_in_a_frame() {
    let (broker, _mails, _) = told().await;
    let body = "<!doctype html><title>Win</title><link rel=icon href=data:,><iframe src='".to_owned()
        + &broker.url("/veto/none")
        + "'></iframe>";
    let answer = browser::Answer { path: "/", headers: vec![(CONTENT_TYPE, "text/html")], body };
    let site = Site::start([answer]).await;
    let browser = Browser::start().await;
    browser.go(site.url()).await;
    let complaints = browser.complaints().await;
    assert!(complaints.iter().any(|complaint| complaint.message.contains("frame-ancestors")), "{complaints:#?}");
    browser.end().await;
}
