//! Documents and their delivery: the code that the kinds of action share that find documents and that take them in, so that
//! neither knows the other.
//!
//! | module | contents |
//! |---|---|
//! | [`document`] | a document, and the reader of `adds` and `updates` |
//! | [`reference`] | names of files in XML and in lists |
//! | [`csv`] | lists of references: the value of `removes` |
//! | [`xml`] | the strict reader of XML below [`document`] |
//! | [`found`] | the state of files when they were found: the value of the parameter `actiond:found` |
//! | [`beneath`] | files opened below a directory and never elsewhere |

pub(crate) use crate::aci::words::shorten;

pub(crate) mod beneath;
pub(crate) mod csv;
pub(crate) mod document;
#[cfg(test)]
mod document_tests;
pub(crate) mod found;
pub(crate) mod reference;
pub(crate) mod xml;
#[cfg(test)]
mod xml_tests;
