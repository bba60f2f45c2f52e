//! `caseharden lock` against registries: a real one on loopback, and one that misbehaves.

mod acceptance;
mod charts;
mod faults;
mod fleets;
mod helper;
mod images;
mod real;
mod running;
mod server;
mod signatures;
mod starts;
