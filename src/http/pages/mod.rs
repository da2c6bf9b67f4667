//! The pages a user signs in by: a personal link, a page with one button, the provider, and back. A GET changes
//! nothing, so that a mail scanner cannot use a link up. What a sign-in goes through is `crate::signin`; here it is
//! shown.

mod app_page;
mod brand;
mod browser;
mod callback;
mod device;
mod link;
mod owner;
mod page;
mod paste;
mod routes;
mod visit;
mod words;

pub(super) use brand::Brand;
pub(super) use paste::problem_of as paste_problem;
pub(super) use routes::routes;
