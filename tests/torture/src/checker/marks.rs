//! Marks never go back, and the table of participants has them as the log does.

use super::{Evidence, Ledger};
use crate::record::Part;

pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    if let Some(first) = ledger.impossible_marks.first() {
        return Err(first.clone());
    }
    let mut stored: Vec<&Part> = evidence.log.parts.iter().collect();
    let mut derived: Vec<&Part> = ledger.all_parts().collect();
    for parts in [&mut stored, &mut derived] {
        parts.sort_by_key(|part| (&part.conversation, &part.user, part.joined));
    }
    for (stored, derived) in stored.iter().zip(&derived) {
        if stored != derived {
            return Err(format!(
                "the table of participants has {stored:?}, and the log comes to {derived:?}"
            ));
        }
    }
    if stored.len() != derived.len() {
        let (stored, derived) = (stored.len(), derived.len());
        return Err(format!("the table of participants has {stored} rows, and the log comes to {derived}"));
    }
    Ok(())
}
