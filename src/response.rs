//! The JSON of the contract.

use serde_json::Value;

use crate::error::Error;
use crate::verdict::Verdict;

/// The answer as compact JSON, its members in the order of the contract; with a last member
/// `details` where `details` is true.
pub fn to_json(result: &Result<Verdict, Error>, details: bool) -> String {
    to_value(result, details).to_string()
}

/// The answer as a JSON value.
pub fn to_value(result: &Result<Verdict, Error>, _details: bool) -> Value {
    match result {
        Ok(verdict) => {
            serde_json::json!({"success": true, "result": {"liveness": verdict.liveness, "score": verdict.score}})
        }
        Err(error) => {
            serde_json::json!({"success": false, "error_code": error.code().as_str(), "error_message": error.code().message()})
        }
    }
}
