#!/usr/bin/env bash
# images.sh DIR [NAME...]: makes real images in DIR/NAME (OCI layouts) from
# Debian packages and npm, each once. NAME is one of
#   base    a minimal Debian
#   demo    base and a small application in Python, Node, Ruby and Go's place
#   node    base, Node and some hundred npm packages
#   gobin   base and large Go programs
#   javapy  base, a JRE, Java libraries and Python packages
#   big     all of these, in layers
#   faulty  base and every mistake that checks of images look for
# Needs root (debootstrap, overlay mounts) and a Debian mirror.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { echo "usage: images.sh DIR [NAME...]" >&2; exit 2; }
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- base node gobin javapy big
[ "$(id -u)" = 0 ] || { echo "images.sh: needs root for debootstrap" >&2; exit 1; }
suite=${SUITE:-bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}
layers=$work/.layers
mkdir -p "$layers"
run='{"Cmd":["/bin/sh"],"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}'

base() { # the lowest layer
  [ -e "$layers/base.done" ] && return
  rm -rf "$layers/base"
  debootstrap --variant=minbase "$suite" "$layers/base" "$mirror" >"$layers/base.log" 2>&1 || { tail -3 "$layers/base.log" >&2; exit 1; }
  rm -rf "$layers/base"/var/cache/apt/archives/*.deb "$layers/base/dev"/*
  touch "$layers/base.done"
}

step() { # step NAME LOWER COMMAND: a layer that COMMAND makes in $root over LOWER (a:b:c, highest first)
  local name=$1 lower=$2 up=$layers/$1
  [ -e "$up.done" ] && return
  rm -rf "$up" "$up.work" "$up.root"
  mkdir -p "$up" "$up.work" "$up.root"
  mount -t overlay overlay -o "lowerdir=$lower,upperdir=$up,workdir=$up.work" "$up.root"
  mount -t proc proc "$up.root/proc"
  mount --bind /dev "$up.root/dev"
  cp /etc/resolv.conf "$up.root/etc/resolv.conf" 2>/dev/null || true
  for f in /etc/apt/apt.conf.d/*proxy*; do [ -e "$f" ] && cp "$f" "$up.root/etc/apt/apt.conf.d/"; done
  local ok=true
  (root=$up.root; eval "$3") >"$up.log" 2>&1 || ok=false
  umount "$up.root/dev" "$up.root/proc" "$up.root"
  rm -rf "$up.work" "$up.root"
  $ok || { echo "images.sh: layer $name; see $up.log" >&2; tail -5 "$up.log" >&2; exit 1; }
  touch "$up.done"
}

install() { echo "chroot \$root sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $* && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb'"; }

node_layer() {
  step node-deb "$layers/base" "$(install nodejs)"
  step node-app "$layers/node-deb:$layers/base" 'mkdir -p $root/app && cd $root/app && npm init -y && npm install --no-audit --no-fund --ignore-scripts express lodash react react-dom webpack webpack-cli @babel/core @babel/preset-env typescript eslint jest axios mongoose @aws-sdk/client-s3 next'
}
gobin_layer() { step gobin "$layers/base" "$(install docker.io containerd runc golang-1.19-go prometheus)"; }
javapy_layer() {
  step java "$layers/base" "mkdir -p \$root/usr/share/man/man1; $(install openjdk-17-jre-headless libspring-core-java libjackson2-databind-java libcommons-collections4-java libguava-java libhibernate-validator-java maven)"
  step python "$layers/java:$layers/base" "$(install python3-pip python3-numpy python3-scipy python3-django python3-flask python3-requests python3-cryptography)"
}
demo_layer() {
  step demo-deb "$layers/base" "$(install python3-flask ruby nodejs sudo)"
  step demo-app "$layers/demo-deb:$layers/base" 'mkdir -p $root/app && cd $root/app && npm init -y && npm install --no-audit --no-fund --ignore-scripts express lodash && chmod 4755 $root/usr/bin/python3.1?'
}

faulty_layer() {
  step faulty "$layers/base" '
    echo "ghost::0:0:ghost:/:/bin/sh" >>$root/etc/passwd; echo "ghost::19000:0:99999:7:::" >>$root/etc/shadow
    echo "twin:x:1:1:twin:/:/bin/sh" >>$root/etc/passwd; echo "wheel2:x:1:" >>$root/etc/group
    mkdir -p $root/app/.git $root/root/.ssh $root/root/.aws $root/var/cache/apk
    echo "FROM scratch" >$root/app/Dockerfile; echo "services: {}" >$root/app/docker-compose.yml; echo "ref: refs/heads/main" >$root/app/.git/HEAD
    echo "[core]" >$root/app/.git/config
    ssh-keygen -q -t ed25519 -N "" -f $root/root/.ssh/id_ed25519
    printf "[default]\naws_access_key_id = AKIA2OGYBAH6STMMNXNN\naws_secret_access_key = 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\n" >$root/root/.aws/credentials
    echo "DB_PASSWORD=Tr0ub4dor-and-3" >$root/app/.env
    cp $root/bin/cat $root/app/tool; chmod 6755 $root/app/tool; cp $root/bin/cat $root/usr/bin/anyone; chmod 777 $root/usr/bin/anyone
    mkdir -p $root/var/lib/apt/lists $root/var/cache/apt/archives; echo x >$root/var/lib/apt/lists/deb.debian.org_Packages; echo x >$root/var/cache/apt/archives/x.deb'
}

image() { # image NAME RUN LAYER=INSTRUCTION...
  local name=$1 config=$2
  shift 2
  [ -e "$work/$name/oci-layout" ] && return
  rm -rf "$work/$name"
  local specs=()
  for l in "$@"; do specs+=("$layers/$l"); done
  "$here/oci.sh" "$work/$name" "$config" "${specs[@]}"
}

for name in "$@"; do
  base
  case $name in
  base) image base "$run" "base=debootstrap $suite" ;;
  demo)
    demo_layer
    image demo '{"Cmd":["node","/app/server.js"],"Env":["PATH=/usr/bin:/bin","DB_PASSWORD=Tr0ub4dor-and-3"],"ExposedPorts":{"22/tcp":{},"8080/tcp":{}}}' \
      "base=debootstrap $suite" "demo-deb=RUN apt-get install python3-flask ruby nodejs sudo" "demo-app=RUN npm install express lodash" ;;
  node)
    node_layer
    image node "$run" "base=debootstrap $suite" "node-deb=RUN apt-get install nodejs" "node-app=RUN npm install" ;;
  gobin)
    gobin_layer
    image gobin "$run" "base=debootstrap $suite" "gobin=RUN apt-get install docker.io" ;;
  javapy)
    javapy_layer
    image javapy "$run" "base=debootstrap $suite" "java=RUN apt-get install openjdk-17-jre-headless" "python=RUN apt-get install python3-pip" ;;
  big)
    node_layer; gobin_layer; javapy_layer
    image big "$run" "base=debootstrap $suite" "java=RUN apt-get install openjdk-17-jre-headless" "python=RUN apt-get install python3-pip" \
      "gobin=RUN apt-get install docker.io" "node-deb=RUN apt-get install nodejs" "node-app=RUN npm install" ;;
  faulty)
    faulty_layer
    image faulty '{"Cmd":["/bin/sh"],"User":"root","Env":["PATH=/usr/bin:/bin","MYSQL_PASSWORD=Tr0ub4dor-and-3","AWS_SECRET_ACCESS_KEY=R4nd0mBvH7mXeqS+ZkQw9LtY2uPdC6JfNgAs8VhE"],"ExposedPorts":{"22/tcp":{}},"Volumes":{"/dev":{},"/proc":{}}}' \
      "base=ADD file:0123456789abcdef in /" "faulty=RUN apt-get update && apt-get dist-upgrade && sudo apk add curl && wget http://example.com/x" ;;
  *) echo "images.sh: no image $name" >&2; exit 2 ;;
  esac
  echo "$work/$name"
done
