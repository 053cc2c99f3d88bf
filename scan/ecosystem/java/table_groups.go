package java

// groups are Maven groups of artifacts that are often shipped without any
// metadata, by artifact.
var groups = map[string]string{
	"log4j": "log4j", "log4j-core": "org.apache.logging.log4j", "log4j-api": "org.apache.logging.log4j",
	"commons-collections": "commons-collections", "commons-collections4": "org.apache.commons", "commons-lang": "commons-lang", "commons-lang3": "org.apache.commons",
	"commons-io": "commons-io", "commons-codec": "commons-codec", "commons-logging": "commons-logging", "commons-cli": "commons-cli", "commons-beanutils": "commons-beanutils",
	"commons-fileupload": "commons-fileupload", "commons-text": "org.apache.commons", "commons-compress": "org.apache.commons",
	"guava": "com.google.guava", "gson": "com.google.code.gson", "jackson-core": "com.fasterxml.jackson.core", "jackson-databind": "com.fasterxml.jackson.core",
	"jackson-annotations": "com.fasterxml.jackson.core", "slf4j-api": "org.slf4j", "junit": "junit", "hamcrest-core": "org.hamcrest", "logback-classic": "ch.qos.logback",
	"logback-core": "ch.qos.logback", "snakeyaml": "org.yaml", "spring-core": "org.springframework", "spring-beans": "org.springframework", "spring-context": "org.springframework",
	"spring-web": "org.springframework", "spring-webmvc": "org.springframework", "spring-aop": "org.springframework", "spring-expression": "org.springframework",
	"netty-all": "io.netty", "tomcat-embed-core": "org.apache.tomcat.embed", "struts2-core": "org.apache.struts", "xstream": "com.thoughtworks.xstream",
	"h2": "com.h2database", "postgresql": "org.postgresql", "mysql-connector-java": "mysql", "bcprov-jdk15on": "org.bouncycastle", "fastjson": "com.alibaba",
	"velocity": "org.apache.velocity", "dom4j": "dom4j", "xercesImpl": "xerces", "httpclient": "org.apache.httpcomponents", "httpcore": "org.apache.httpcomponents", "asm": "org.ow2.asm",
}
