//! The card of an environment, its tasks and its settings.

use std::fs;
use std::io::Read;
use std::path::Path as FilePath;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use orwd_hub_store::accounts::Caller;
use orwd_hub_store::environments::{
    DetailsChange, EnvironmentRecord, ScalingChange, ScalingSettings, change_details,
    change_settings, find_to_change,
};
use orwd_web::markdown::MAX_MARKDOWN;
use orwd_web::pages::{self, About, EnvironmentHead};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::facts::served;
use crate::api::links::apply_settings;
use crate::http::error::ApiError;
use crate::http::query::QueryParameters;
use crate::http::state::Shared;
use crate::layout::Layout;
use crate::sessions::{proxy, versions};
use crate::web::form::Form;
use crate::web::page::{Page, PageError};
use crate::web::viewer::Viewer;

/// Tasks of a page.
const TASKS: u64 = 20;

/// Bytes of a description of a version.
const MAX_ABOUT: u64 = 8 << 20;

/// The manifest of an environment's folder.
const MANIFEST: &str = "orwd.toml";

/// Bytes of a manifest that are shown.
const MAX_MANIFEST: u64 = 64 << 10;

/// Names that a README may have.
const READMES: [&str; 3] = ["README.md", "readme.md", "README"];

/// An owner and a name, as a path has them.
pub(in crate::web) type Name = (String, String);

/// Returns what all pages of an environment show.
pub(in crate::web) fn head(
    environment: &EnvironmentRecord,
    caller: Option<&Caller>,
) -> EnvironmentHead {
    EnvironmentHead {
        owner: environment.owner.clone(),
        name: environment.name.clone(),
        description: environment.description.clone(),
        is_private: environment.is_private,
        may_change: caller.is_some_and(|caller| caller.may_change(&environment.owner)),
    }
}

/// Shows the card of an environment. It is made from what was noted when the
/// version was admitted, so no host process has to run.
pub(in crate::web) async fn card(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<Name>,
    headers: HeaderMap,
) -> Page {
    let caller = viewer.maybe();
    let (environment, version) = served(&state, caller.clone(), name).await?;
    let (about, readme) = match &version {
        Some(version) => {
            let (layout, id) = (state.layout.clone(), version.id.clone());
            tokio::task::spawn_blocking(move || (about(&layout, &id), readme(&layout, &id)))
                .await
                .map_err(|error| ApiError::internal("description not read", error))?
        }
        None => (Vec::new(), None),
    };
    let links = [
        ("Paper", &environment.arxiv_url),
        ("Code", &environment.external_github_url),
        ("Data set", &environment.external_hf_url),
    ];
    let shown = version.as_ref();
    let page = pages::EnvironmentPage {
        head: head(&environment, caller.as_ref()),
        readme,
        about,
        commit: shown.map_or_else(String::new, |version| version.commit.clone()),
        digest: shown
            .and_then(|version| version.digest.clone())
            .unwrap_or_default(),
        deployed_at: shown.map_or_else(String::new, |version| version.updated_at.clone()),
        is_deployed: version.is_some(),
        is_linked: environment.link.is_some(),
        base: state.base_url(&headers),
        links: links
            .into_iter()
            .filter_map(|(name, address)| Some((name, address.clone()?)))
            .collect(),
    };
    Ok(Html(pages::environment(&viewer.frame(), &page)))
}

/// Reads what was noted of the environments of a version; nothing if it was
/// admitted before there was such a note. Blocks.
pub(super) fn about(layout: &Layout, deployment: &str) -> Vec<About> {
    let text = read(&layout.about(deployment), MAX_ABOUT);
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// Reads the README of a version: that of its root, or of its first environment.
/// Blocks.
fn readme(layout: &Layout, deployment: &str) -> Option<String> {
    let paths = paths(layout, deployment)?;
    let mut folders = std::iter::once("").chain(paths.first().map(String::as_str));
    folders.find_map(|folder| {
        let mut names = READMES.iter();
        names.find_map(|name| {
            let file = FilePath::new(folder).join(name);
            read_source(layout, deployment, &file, MAX_MARKDOWN as u64)
        })
    })
}

/// Returns the paths of the environments of a version.
fn paths(layout: &Layout, deployment: &str) -> Option<Vec<String>> {
    let paths = fs::read(layout.version(deployment).with_extension("json")).ok()?;
    serde_json::from_slice(&paths).ok()
}

/// Reads the manifests of a version. Blocks.
pub(super) fn manifests(layout: &Layout, deployment: &str) -> String {
    let paths = paths(layout, deployment).unwrap_or_default();
    let mut text = String::new();
    for path in paths {
        let file = FilePath::new(&path).join(MANIFEST);
        if let Some(manifest) = read_source(layout, deployment, &file, MAX_MANIFEST) {
            text.push_str(&format!("# {}\n{}\n", file.display(), manifest.trim_end()));
        }
    }
    text
}

/// Reads a file of the sources of a version.
fn read_source(layout: &Layout, deployment: &str, path: &FilePath, limit: u64) -> Option<String> {
    let folder = layout.version(deployment);
    let file = folder.join(path);
    // The sources may have links to anywhere.
    let (real, root) = (file.canonicalize().ok()?, folder.canonicalize().ok()?);
    let is_ours = real.starts_with(root) && real.is_file();
    is_ours.then(|| read(&real, limit)).flatten()
}

/// Reads the beginning of a text file.
fn read(file: &FilePath, limit: u64) -> Option<String> {
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).ok()?;
    opened.take(limit).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Shows the tasks of a split, which the environment itself lists.
pub(in crate::web) async fn tasks(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<Name>,
    query: QueryParameters,
) -> Page {
    let caller = viewer.signed_in()?;
    let (environment, version) = served(&state, Some(caller.clone()), name).await?;
    let mut page = pages::TasksPage {
        head: head(&environment, Some(&caller)),
        size: TASKS,
        ..pages::TasksPage::default()
    };
    let Some(version) = version else {
        page.problem = Some("Nothing is deployed yet.".to_owned());
        return Ok(Html(pages::tasks(&viewer.frame(), &page)));
    };
    let (layout, id) = (state.layout.clone(), version.id.clone());
    let about = tokio::task::spawn_blocking(move || about(&layout, &id))
        .await
        .map_err(|error| ApiError::internal("description not read", error))?;
    let splits = about
        .first()
        .map(|about| about.splits.as_slice())
        .unwrap_or_default();
    page.splits = splits.iter().map(|split| split.name.clone()).collect();
    let wanted = query.text("split").or_else(|| page.splits.first().cloned());
    page.split = wanted.unwrap_or_else(|| "train".to_owned());
    page.total = splits
        .iter()
        .find(|split| split.name == page.split)
        .and_then(|split| split.num_tasks);
    let from: u64 = query.number("from")?.unwrap_or(0);
    let target = versions::prepare(&state, &environment, &version, &version.variants).await?;
    let path = format!("/{}/task_range", target.default_variant);
    let stop = from.saturating_add(TASKS);
    let body = json!({ "split": page.split, "start": from, "stop": stop });
    match proxy::ask(&state, &caller, &target, &path, Some(body)).await {
        Ok(body) => {
            let listed: Tasks = serde_json::from_slice(&body)
                .map_err(|error| ApiError::internal("tasks not read", error))?;
            page.rows = (from..)
                .zip(listed.tasks)
                .map(|(index, spec)| pages::TaskRow { index, spec })
                .collect();
        }
        Err(error) => page.problem = Some(error.message().to_owned()),
    }
    Ok(Html(pages::tasks(&viewer.frame(), &page)))
}

#[derive(Deserialize)]
struct Tasks {
    tasks: Vec<Value>,
}

/// Returns the settings of an environment as its form shows them.
pub(super) fn settings_form(
    environment: &EnvironmentRecord,
    caller: &Caller,
    settings: &ScalingSettings,
) -> pages::SettingsForm {
    pages::SettingsForm {
        head: head(environment, Some(caller)),
        min_scale: settings.min_scale.to_string(),
        max_scale: settings.max_scale.to_string(),
        concurrency: settings.max_concurrency.to_string(),
        repository: environment.link.as_ref().map(|link| {
            let own = link.repository_name.clone();
            link.remote.clone().unwrap_or(own)
        }),
        cpu_memory: format!("{}-{}", settings.size.cpu_count, settings.size.mem_gb),
        ..pages::SettingsForm::default()
    }
}

/// Shows the settings of an environment.
pub(in crate::web) async fn settings_page(
    State(state): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    Path((owner, name)): Path<Name>,
) -> Page {
    let caller = viewer.signed_in()?;
    let finder = caller.clone();
    let environment = state
        .database
        .read(move |transaction| find_to_change(transaction, &owner, &name, &finder))
        .await?;
    let form = settings_form(&environment, &caller, &environment.settings);
    Ok(Html(pages::settings(&viewer.frame(), &form)))
}

/// Changes the settings of an environment, all or none.
pub(in crate::web) async fn settings(
    State(state): State<Shared>,
    Path((owner, name)): Path<Name>,
    form: Form,
) -> Result<Response, PageError> {
    let caller = form.viewer.signed_in()?;
    let number = |field: &str| {
        let value = form.text(field).parse::<i64>();
        value.map_err(|_| ApiError::invalid(format!("{field} must be a number")))
    };
    let change = ScalingChange {
        cpu_memory: Some(form.text("cpuMemory")),
        min_scale: Some(number("minScale")?),
        max_scale: Some(number("maxScale")?),
        concurrency: Some(number("concurrency")?),
    };
    let details = DetailsChange {
        description: Some(form.text("description")),
        is_private: Some(form.text("private") == "yes"),
        ..DetailsChange::default()
    };
    let changer = caller.clone();
    let (path_owner, path_name) = (owner.clone(), name.clone());
    let changed = state
        .database
        .run(move |transaction| {
            let before = find_to_change(transaction, &path_owner, &path_name, &changer)?;
            let mut settings = before.settings;
            change.apply(&mut settings)?;
            change_settings(transaction, &before.id, &settings)?;
            let changed = change_details(transaction, &changer, &before, details)?;
            Ok((changed, before.settings != settings))
        })
        .await
        .map_err(ApiError::from);
    let (environment, is_scaled) = match changed {
        Ok(changed) => changed,
        Err(error) if error.status() == StatusCode::BAD_REQUEST => {
            let (environment, _) = served(&state, Some(caller.clone()), (owner, name)).await?;
            let mut shown = settings_form(&environment, &caller, &environment.settings);
            shown.min_scale = form.text("minScale");
            shown.max_scale = form.text("maxScale");
            shown.concurrency = form.text("concurrency");
            shown.cpu_memory = form.text("cpuMemory");
            shown.head.description = form.text("description");
            shown.problem = Some(error.message().to_owned());
            let page = pages::settings(&form.viewer.frame(), &shown);
            return Ok((error.status(), Html(page)).into_response());
        }
        Err(error) => return Err(error.into()),
    };
    if is_scaled {
        apply_settings(&state, &environment).await;
    }
    tracing::info!(environment = environment.full_name(), "settings changed");
    let mut shown = settings_form(&environment, &caller, &environment.settings);
    shown.is_saved = true;
    Ok(Html(pages::settings(&form.viewer.frame(), &shown)).into_response())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_readme_is_a_file_of_the_version() {
        let state = tempfile::TempDir::new().unwrap();
        let layout = Layout::create(state.path()).unwrap();
        let secret = state.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        for (id, content) in [("linked", None), ("plain", Some("hello"))] {
            let folder = layout.version(id);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.with_extension("json"), "[\"\"]").unwrap();
            match content {
                Some(text) => fs::write(folder.join("README.md"), text).unwrap(),
                None => symlink(&secret, folder.join("README.md")).unwrap(),
            }
        }
        assert_eq!(readme(&layout, "plain").as_deref(), Some("hello"));
        assert_eq!(readme(&layout, "linked"), None);
        assert_eq!(readme(&layout, "absent"), None);
        for (id, of) in [("linked", None), ("plain", Some("name = \"x\"\n"))] {
            let file = layout.version(id).join("orwd.toml");
            match of {
                Some(text) => fs::write(file, text).unwrap(),
                None => symlink(&secret, file).unwrap(),
            }
        }
        assert_eq!(manifests(&layout, "linked"), "");
        assert_eq!(manifests(&layout, "plain"), "# orwd.toml\nname = \"x\"\n");
        assert!(about(&layout, "plain").is_empty());
    }
}
