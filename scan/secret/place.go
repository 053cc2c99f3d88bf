package secret

import (
	"path"
	"strings"
)

// public reports whether a path belongs to software that anyone can download:
// dependencies and the libraries of a language. What stands there was
// published by others, so only the forms that name a service's key count.
func public(name string) bool {
	for _, part := range []string{"node_modules/", "bower_components/", "site-packages/", "dist-packages/", "vendor/bundle/", "vendor/ruby/", "/gems/", "jspm_packages/",
		"usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/lib/python", "usr/local/lib/python", "usr/lib/ruby/", "usr/share/perl", "usr/lib/go", "usr/local/go/", "usr/share/go-",
		"pkg/mod/", ".cargo/registry/", "vendor/github.com/", "vendor/golang.org/", "vendor/k8s.io/", "vendor/google.golang.org/", "vendor/gopkg.in/", ".m2/repository/", ".gradle/caches/", "var/lib/dpkg/", "var/lib/apt/", "usr/include/", "usr/lib/node_modules", "usr/share/nodejs/", "usr/share/maven-repo/", "usr/share/java/"} {
		if strings.HasPrefix(name, strings.TrimPrefix(part, "/")) || strings.Contains(name, "/"+strings.TrimPrefix(part, "/")) {
			return true
		}
	}
	return false
}

// WeakInPublic reports whether a kind is no news in published software: test
// keys, sample tokens and placeholders.
func WeakInPublic(id string) bool {
	switch id {
	case genericForm.ID, passwordForm.ID, databaseForm.ID, brokerForm.ID:
		return true
	case "private-key", "private-key-form", "slack-token-form", "gcp-service-account", "aws-iam-identifier", "jwt", "jwt-form", "url-credentials", "basic-auth-header", "bearer-header", "curl-user", "docker-registry-auth", "kubernetes-secret", "shadow-password-hash", "htpasswd-hash", "netrc-password", "jdbc-password", "ado-connection-string", "django-secret-key",
		"maven-settings-password", "maven-master-password", "nuget-config-password", "vault-legacy-token", "wireguard-private-key", "putty-private-key", "ansible-vault", "twilio-api-key", "npm-basic-auth", "npm-legacy-token", "symfony-default-secret", "stripe-publishable-key",
		"stripe-test-key", "openshift-user-token", "gcp-oauth-refresh-token", "mapbox-api-token", "kubernetes-service-account-token", "kubernetes-dockerconfigjson", "gitlab-session-cookie", "square-access-token", "crates-io-token", "discord-bot-token", "payjp-secret-key":
		return true
	}
	return false
}

// lock reports whether a file lists dependencies with their hashes.
func lock(name string) bool {
	base := path.Base(name)
	switch base {
	case "go.sum", "go.mod", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "deno.lock", "bun.lock", "Pipfile.lock", "poetry.lock", "uv.lock", "pdm.lock", "Cargo.lock", "Gemfile.lock", "composer.lock", "composer.json", "installed.json",
		"gradle.lockfile", "flake.lock", "mix.lock", "pubspec.lock", "Podfile.lock", "packages.lock.json", "conan.lock", "RECORD", "verification-metadata.xml", "SHASUMS256.txt":
		return true
	}
	switch path.Ext(base) {
	case ".map", ".svg", ".sum", ".md5sums", ".css", ".po", ".html", ".htm", ".md5", ".sha256":
		return true
	}
	return false
}
