//! Documents and how they are handed over: what the kinds of action that find documents and those that take them in
//! share, so that neither knows the other.
//!
//! | module | what it is |
//! |---|---|
//! | [`document`] | a document, and the reader of `adds` and `updates` |
//! | [`reference`] | names of files, as they stand in XML and in lists |
//! | [`csv`] | lists of references: the value of `removes` |
//! | [`xml`] | the strict reader of XML below [`document`] |
//! | [`found`] | what a file was when it was found: the value of the parameter `actiond:found` |
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
