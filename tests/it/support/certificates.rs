//! Certificates, made by openssl.

use std::path::{Path, PathBuf};

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = std::process::Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a certificate authority in the folder, and says where its certificate is.
pub(crate) fn authority(folder: &Path) -> PathBuf {
    let authority =
        ["req", "-x509", "-subj", "/CN=test authority", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(folder, &[&authority[..], &KEY].concat());
    folder.join("ca.pem")
}

/// Makes a certificate for `localhost` by the authority in the folder, and says where it and its key are.
pub(crate) fn certificate(folder: &Path, name: &str) -> [PathBuf; 2] {
    let [key, request, certificate] = ["key", "csr", "pem"].map(|ending| format!("{name}.{ending}"));
    let asking = ["req", "-subj", "/CN=localhost", "-keyout", &key, "-out", &request];
    openssl(folder, &[&asking[..], &KEY].concat());
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let signing = ["x509", "-req", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    let what = ["-days", "2", "-extfile", "names", "-out", &certificate];
    openssl(folder, &[&signing[..], &what].concat());
    [certificate, key].map(|file| folder.join(file))
}
