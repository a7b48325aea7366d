//! Changing an environment.

use super::create::{check_description, check_free, search_key};
use super::former_names;
use super::names::check_name;
use super::queries::get;
use super::record::EnvironmentRecord;
use super::settings::ScalingSettings;
use crate::accounts::Caller;
use crate::audit;
use crate::clock::now;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// A change of some of the details. `None` keeps a detail, and `Some(None)`
/// removes an address.
#[derive(Clone, Debug, Default)]
pub struct DetailsChange {
    /// The new name.
    pub name: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// Whether only members of the namespace see it.
    pub is_private: Option<bool>,
    /// A page about it.
    pub arxiv_url: Option<Option<String>>,
    /// A page about it.
    pub external_github_url: Option<Option<String>>,
    /// A page about it.
    pub external_hf_url: Option<Option<String>>,
}

/// Changes details of an environment.
pub fn change_details(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    before: &EnvironmentRecord,
    change: DetailsChange,
) -> Result<EnvironmentRecord, HubStoreError> {
    let name = change.name.unwrap_or_else(|| before.name.clone());
    let description = change
        .description
        .unwrap_or_else(|| before.description.clone());
    check_name(&name)?;
    check_description(&description)?;
    check_free(transaction, &before.owner, &name, Some(&before.id))?;
    if name != before.name {
        former_names::forget(transaction, &before.owner, &name)?;
        former_names::keep(transaction, before)?;
    }
    let address = |new: Option<Option<String>>, old: &Option<String>| {
        let value = new.unwrap_or_else(|| old.clone());
        value.filter(|text| !text.is_empty())
    };
    let addresses = [
        address(change.arxiv_url, &before.arxiv_url),
        address(change.external_github_url, &before.external_github_url),
        address(change.external_hf_url, &before.external_hf_url),
    ];
    for address in addresses.iter().flatten() {
        // A page shows it as a link.
        let is_web = address.starts_with("https://") || address.starts_with("http://");
        if !is_web || address.len() > 2048 || address.chars().any(char::is_control) {
            return Err(HubStoreError::Invalid(format!(
                "{address:?} is not a web address; write it as https://…"
            )));
        }
    }
    let [arxiv, github, hugging_face] = addresses;
    transaction.execute(
        "UPDATE environments SET name = ?2, name_key = ?3, description = ?4, search_key = ?5, \
         is_private = ?6, arxiv_url = ?7, external_github_url = ?8, external_hf_url = ?9, \
         updated_at = ?10 WHERE id = ?1",
        params![
            &before.id,
            &name,
            name.to_lowercase(),
            &description,
            search_key(&name, &description),
            change.is_private.unwrap_or(before.is_private),
            arxiv,
            github,
            hugging_face,
            now()
        ],
    )?;
    let after = get(transaction, &before.id)?;
    let mut record = |action: &str| {
        let (owner, name) = (&before.owner, before.full_name());
        audit::record(transaction, owner, &caller.name, action, &name)
    };
    if after.name != before.name {
        record(&format!("renamed to {}", after.full_name()))?;
    }
    match (before.is_private, after.is_private) {
        (false, true) => record("made private")?,
        (true, false) => record("made public")?,
        _ => {}
    }
    Ok(after)
}

/// Sets the scaling settings of an environment.
pub fn change_settings(
    transaction: &mut dyn Transaction,
    id: &str,
    settings: &ScalingSettings,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE environments SET cpu_count = ?2, mem_gb = ?3, min_scale = ?4, max_scale = ?5, \
         max_concurrency = ?6, updated_at = ?7 WHERE id = ?1",
        params![
            id,
            settings.size.cpu_count,
            settings.size.mem_gb,
            settings.min_scale,
            settings.max_scale,
            settings.max_concurrency,
            now()
        ],
    )?;
    Ok(())
}
