# servers.sh - real servers on loopback for scenarios, after lib.sh:
#
#   nginx_start   plain HTTP and HTTPS     $nginx_port, $nginx_tls_port, $www
#   apache_start  WebDAV                   $apache_port, $dav; and the same
#                 without pieces           $apache_plain_port
#   sshd_start    SFTP                     $sshd_port, $ssh_user, $ssh_home
#   s3_start      S3, bucket "vaults"      $s3_port
#
# Each returns 1, with the reason in $missing, when its program is not here.
# What they serve is in $work; they end with the scenario.

# free_port: one that nobody listens on now.
free_port()
{
	while :; do
		port_try=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
		ss -Hltn "sport = :$port_try" | grep -q . || break
	done
	echo "$port_try"
}

# listens PORT
listens()
{
	ss -Hltn "sport = :$1" | grep -q .
}

# server_program NAME: its path, also from sbin.
server_program()
{
	PATH=$PATH:/usr/sbin:/sbin command -v "$1" || {
		missing="$1 is not installed (configure --with-deps)"
		return 1
	}
}

# own_certificate NAME: $work/NAME.pem and .key for 127.0.0.1 and localhost.
own_certificate()
{
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
		-addext 'subjectAltName = DNS:localhost, IP:127.0.0.1' \
		-keyout "$work/$1.key" -out "$work/$1.pem" 2>"$work/$1.log"
}

# nginx_start [LINES...]: LINES are added to both servers.
nginx_start()
{
	nginx_program=$(server_program nginx) || return 1
	www=$work/www
	mkdir -p "$www/files" "$work/nginx"
	own_certificate nginx || return 1
	nginx_port=$(free_port)
	nginx_tls_port=$(free_port)
	while [ "$nginx_tls_port" = "$nginx_port" ]; do
		nginx_tls_port=$(free_port)
	done
	nginx_lines=$(printf '%s\n' "$@")
	cat >"$work/nginx.conf" <<-END
	daemon off; master_process off; worker_processes 1;
	pid $work/nginx.pid;
	events { worker_connections 64; }
	http {
		access_log $work/nginx.access;
		client_body_temp_path $work/nginx; proxy_temp_path $work/nginx;
		fastcgi_temp_path $work/nginx; uwsgi_temp_path $work/nginx;
		scgi_temp_path $work/nginx;
		client_max_body_size 0;
		server {
			listen 127.0.0.1:$nginx_port;
			listen 127.0.0.1:$nginx_tls_port ssl;
			ssl_certificate $work/nginx.pem;
			ssl_certificate_key $work/nginx.key;
			root $www;
			location /slow/ { alias $www/files/; limit_rate 8m; }
			location /put/ { dav_methods PUT; create_full_put_path on; }
			location /secret/ { return 401; }
			location /closed/ { return 403; }
			location /full/ {
				if (\$request_method = PUT) { return 507; }
			}
			location /astray/ {
				if (\$request_method = PUT) {
					return 307 /put/astray;
				}
			}
			location /moved/ { rewrite ^/moved/(.*) /files/\$1 redirect; }
			$nginx_lines
		}
	}
	END
	"$nginx_program" -e "$work/nginx.log" -c "$work/nginx.conf" \
		>>"$work/nginx.log" 2>&1 &
	cleanup_pids="$cleanup_pids $!"
	wait_for 10 listens "$nginx_port"
}

# apache_start [LINES...]: LINES are added to the configuration; the user of
# /dav/ is alice, her password is wonderland.
apache_start()
{
	apache_program=$(server_program apache2) || return 1
	apache_modules=/usr/lib/apache2/modules
	dav=$work/dav
	mkdir -p "$dav" "$work/apache"
	apache_port=$(free_port)
	apache_plain_port=$(free_port)
	while [ "$apache_plain_port" = "$apache_port" ]; do
		apache_plain_port=$(free_port)
	done
	printf 'alice:%s\n' "$(openssl passwd -apr1 wonderland)" \
		>"$work/apache/users"
	{
		for module in mpm_event authn_core authz_core authn_file \
			auth_basic authz_user dav dav_fs headers; do
			echo "LoadModule ${module}_module $apache_modules/mod_$module.so"
		done
		cat <<-END
		ServerRoot $work/apache
		ServerName localhost
		Listen 127.0.0.1:$apache_port
		PidFile $work/apache/pid
		ErrorLog $work/apache/log
		CustomLog $work/apache/access "%r %>s %B"
		DefaultRuntimeDir $work/apache
		StartServers 1
		ThreadsPerChild 8
		MinSpareThreads 1
		MaxRequestWorkers 8
		DocumentRoot $work
		DavLockDB $work/apache/locks
		Listen 127.0.0.1:$apache_plain_port
		<VirtualHost 127.0.0.1:$apache_plain_port>
			RequestHeader unset Content-Range early
		</VirtualHost>
		<Directory $dav>
			Dav On
			AuthType Basic
			AuthName vaults
			AuthUserFile $work/apache/users
			Require valid-user
		</Directory>
		END
		[ "$(id -u)" != 0 ] || printf 'User www-data\nGroup www-data\n'
		printf '%s\n' "$@"
	} >"$work/apache.conf"
	[ "$(id -u)" != 0 ] || chown -R www-data "$dav" "$work/apache"
	"$apache_program" -D FOREGROUND -f "$work/apache.conf" \
		>"$work/apache.out" 2>&1 &
	cleanup_pids="$cleanup_pids $!"
	wait_for 10 listens "$apache_port"
}

# sshd_start: for the user who runs this, by the key $work/ssh/key; the host
# key stands in $work/ssh/known_hosts for [127.0.0.1]:$sshd_port.
sshd_start()
{
	sshd_program=$(server_program sshd) || return 1
	command -v ssh-keygen >/dev/null || {
		missing="ssh-keygen is not installed"
		return 1
	}
	ssh_user=$(id -un)
	ssh_home=$work/sftp
	mkdir -p "$work/ssh" "$ssh_home"
	[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
	ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/host" &&
		ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/key" || return 1
	cp "$work/ssh/key.pub" "$work/ssh/authorized_keys"
	sshd_port=$(free_port)
	cat >"$work/ssh/config" <<-END
	ListenAddress 127.0.0.1:$sshd_port
	HostKey $work/ssh/host
	PidFile $work/ssh/pid
	AuthorizedKeysFile $work/ssh/authorized_keys
	PasswordAuthentication no
	PermitRootLogin prohibit-password
	StrictModes no
	UsePAM no
	Subsystem sftp internal-sftp
	END
	echo "[127.0.0.1]:$sshd_port $(cut -d' ' -f1,2 "$work/ssh/host.pub")" \
		>"$work/ssh/known_hosts"
	"$sshd_program" -D -f "$work/ssh/config" -E "$work/ssh/log" \
		>"$work/ssh/out" 2>&1 &
	cleanup_pids="$cleanup_pids $!"
	wait_for 10 listens "$sshd_port"
}

# s3_start [plain]: its keys are S3RVER and S3RVER.
s3_start()
{
	command -v node >/dev/null || {
		missing="there is no node here (configure --with-deps)"
		return 1
	}
	sh "$SRCDIR/tests/scenario/s3/install.sh" "$BUILDDIR/tests/s3" \
		>"$work/npm.log" 2>&1 || {
		missing="s3rver can't be installed: $(tail -1 "$work/npm.log")"
		return 1
	}
	(cd "$BUILDDIR/tests/s3" &&
		exec node server.js "$work/s3" vaults "$@") \
		>"$work/s3${1:+-$1}.log" 2>&1 &
	cleanup_pids="$cleanup_pids $!"
	wait_for 20 grep -q '^[0-9]*$' "$work/s3${1:+-$1}.log" || return 1
	s3_port=$(head -1 "$work/s3${1:+-$1}.log")
}

# cut_at PORT BYTES [TIMES]: a proxy in front of it that cuts; sets $cut_port.
cut_count=0
cut_at()
{
	cut_count=$((cut_count + 1))
	"$BUILDDIR/tests/scenario/cutter" "$@" >"$work/cut$cut_count" &
	cleanup_pids="$cleanup_pids $!"
	wait_for 5 test -s "$work/cut$cut_count" || return 1
	cut_port=$(head -1 "$work/cut$cut_count")
}

# was_cut: the newest proxy has cut something.
was_cut()
{
	grep '^cut ' "$work/cut$cut_count"
}
