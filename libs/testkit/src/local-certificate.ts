// Made for tests, for `localhost` and 127.0.0.1; signed by itself. Guards nothing.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUevfsGuudAVnTuZhYYXkP+rKyRVUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDIwNTU1MFoYDzIxMjYxMDMx
MjA1NTUwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQbvWqWpNE14JsMQmzTrmu/nuHVQj1al9gW+G5uD03Tf4OT1PPkZjPN
BMwcgAtxs/5qSCCN8SDnUmrxUB2dyr5eo28wbTAdBgNVHQ4EFgQU2qHPljQYUP4+
0su3GOAru3IJwHwwHwYDVR0jBBgwFoAU2qHPljQYUP4+0su3GOAru3IJwHwwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhAKzkXeCLlnWih4fyXPg60mhc0jHn80v2Pfd7DKl0o88wAiB7
S/QrgVdEK9CCItx0ZpCyGyqslMhdEVkD6PVMF94nMg==
-----END CERTIFICATE-----
`;
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdkAtKWOxYzWFKeWY
mogVMjMim1zWhZA7TBr4iQhqiV2hRANCAAQbvWqWpNE14JsMQmzTrmu/nuHVQj1a
l9gW+G5uD03Tf4OT1PPkZjPNBMwcgAtxs/5qSCCN8SDnUmrxUB2dyr5e
-----END PRIVATE KEY-----
`;

/** A certificate and its key, as PEM text. Who trusts the certificate itself trusts a server that shows it. */
export const localCertificate = { certificate, key } as const;
