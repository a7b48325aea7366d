//! Creating an environment.

use uuid::Uuid;

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

/// Bytes of a description.
pub(super) const MAX_DESCRIPTION: usize = 64 << 10;

/// An environment to create.
#[derive(Clone, Debug)]
pub struct NewEnvironment {
    /// The namespace.
    pub owner: String,
    /// The name.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// Whether only members of the namespace see it.
    pub is_private: bool,
}

/// Creates an environment with default settings.
pub fn create(
    transaction: &mut dyn Transaction,
    caller: &Caller,
    new: &NewEnvironment,
) -> Result<EnvironmentRecord, HubStoreError> {
    check_name(&new.name)?;
    check_description(&new.description)?;
    if !caller.may_change(&new.owner) {
        return Err(HubStoreError::Forbidden(format!(
            "you may not create environments in the namespace {:?}; yours are {}",
            new.owner,
            caller.changeable().join(", ")
        )));
    }
    check_free(transaction, &new.owner, &new.name, None)?;
    former_names::forget(transaction, &new.owner, &new.name)?;
    let (id, at) = (Uuid::new_v4().to_string(), now());
    let settings = ScalingSettings::default();
    transaction.execute(
        "INSERT INTO environments (id, number, owner, name, name_key, description, search_key, \
         is_private, cpu_count, mem_gb, min_scale, max_scale, max_concurrency, generation, \
         created_at, updated_at) \
         VALUES (?1, (SELECT COALESCE(MAX(number), 0) + 1 FROM environments), ?2, ?3, ?4, ?5, ?6, \
         ?7, ?8, ?9, ?10, ?11, ?12, 0, ?13, ?13)",
        params![
            &id,
            &new.owner,
            &new.name,
            new.name.to_lowercase(),
            &new.description,
            search_key(&new.name, &new.description),
            new.is_private,
            settings.size.cpu_count,
            settings.size.mem_gb,
            settings.min_scale,
            settings.max_scale,
            settings.max_concurrency,
            at
        ],
    )?;
    let created = get(transaction, &id)?;
    audit::record(
        transaction,
        &created.owner,
        &caller.name,
        "created",
        &created.full_name(),
    )?;
    Ok(created)
}

/// Returns the text in which a search looks.
pub(super) fn search_key(name: &str, description: &str) -> String {
    format!("{name}\n{description}").to_lowercase()
}

pub(super) fn check_description(text: &str) -> Result<(), HubStoreError> {
    if text.len() > MAX_DESCRIPTION {
        return Err(HubStoreError::Invalid(format!(
            "the description has {} bytes; at most {MAX_DESCRIPTION} are allowed",
            text.len()
        )));
    }
    Ok(())
}

/// Checks that no other environment has the name. Names become host names and
/// folders, so their case does not count.
pub(super) fn check_free(
    transaction: &mut dyn Transaction,
    owner: &str,
    name: &str,
    except: Option<&str>,
) -> Result<(), HubStoreError> {
    let taken = transaction.first(
        "SELECT id, name, deleted_at FROM environments WHERE owner = ?1 AND name_key = ?2",
        params![owner, name.to_lowercase()],
    )?;
    match taken {
        Some(row) if Some(row.text(0)?.as_str()) == except => Ok(()),
        Some(row) if row.optional_text(2)?.is_some() => Err(HubStoreError::Conflict(format!(
            "{owner}/{} was deleted and can be restored; restore it, remove it for good, or choose \
             another name",
            row.text(1)?
        ))),
        Some(row) => Err(HubStoreError::Conflict(format!(
            "there is an environment {owner}/{}; choose another name",
            row.text(1)?
        ))),
        None => Ok(()),
    }
}
