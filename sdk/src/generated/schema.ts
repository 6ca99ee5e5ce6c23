// Made by scripts/generate.ts from the OpenAPI document.
export interface paths {
    readonly "/machines": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List machines
         * @description A page of your machines, newest first unless `sort` says otherwise. `total` counts all that match.
         */
        readonly get: operations["listMachines"];
        readonly put?: never;
        /**
         * Create a machine
         * @description Records it and prepares its disk; it does not run before it is started.
         */
        readonly post: operations["createMachine"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Get a machine */
        readonly get: operations["getMachine"];
        readonly put?: never;
        readonly post?: never;
        /**
         * Delete a machine
         * @description Deletes the machine and its disk. A running or paused machine is deleted only with `force`, which also cancels its open
         *     operation. A second request while the machine is being deleted is answered together with the first.
         */
        readonly delete: operations["deleteMachine"];
        readonly options?: never;
        readonly head?: never;
        /**
         * Change a machine
         * @description Changes the fields that are given. Name, labels, environment, lifetime and restart policy can be changed at any time;
         *     processors, memory and disk only while the machine is stopped. The next start gives the guest its new name and larger disk.
         */
        readonly patch: operations["updateMachine"];
        readonly trace?: never;
    };
    readonly "/machines/{id}/start": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Start a machine
         * @description Answers when the guest is ready, so that exec works at once.
         */
        readonly post: operations["startMachine"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/stop": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Stop a machine
         * @description Asks the guest to power off, and ends its VMM if it does not. A paused machine is resumed first.
         */
        readonly post: operations["stopMachine"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/restart": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Restart a machine
         * @description Stops a running machine, starts it again, and answers when its guest is ready.
         */
        readonly post: operations["restartMachine"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/pause": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Pause a machine
         * @description Stops the machine's processors and keeps its memory; `resume` continues where it was. A paused machine accepts no commands.
         *     A running command continues after `resume`, but its time limit also counts while paused. The machine stays paused when the
         *     daemon restarts, and is stopped by a reboot of the host. An engine that cannot pause answers 400.
         */
        readonly post: operations["pauseMachine"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/resume": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Resume a machine
         * @description Continues a paused machine, and answers when its guest is ready and its clock is right. If the guest does not answer within
         *     60 seconds, the machine is paused again. If the host's disk is full, it stays paused and the answer is 503.
         */
        readonly post: operations["resumeMachine"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/wait": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Wait for a status
         * @description Answers as soon as the machine has the status; with 400 as soon as it fails, unless you wait for `failed` or its restart policy starts it again.
         */
        readonly get: operations["waitForMachine"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/console": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Read the console
         * @description The last lines of the machine's serial console in its current run, or its last one; empty before the first start. With
         *     `follow` the answer continues with new output and ends when the machine stops or restarts; for a machine that is starting it
         *     begins with the first line. It may be silent for long and has no heartbeat. At most 16 requests may follow one machine; a
         *     slow reader loses the output that has left the buffer.
         *
         *     The text is the guest’s own: it may hold escape sequences, so make it printable before you show it in a terminal. Bytes
         *     that are not UTF-8 are replaced by U+FFFD.
         */
        readonly get: operations["getMachineConsole"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/exec": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Run a command
         * @description With `Accept: application/x-ndjson` the answer is a stream of events, one JSON object a line.
         */
        readonly post: operations["execInMachine"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/health": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Ask whether the daemon answers
         * @description Needs no key.
         */
        readonly get: operations["getHealth"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/images": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List images
         * @description A page of the images you can see, by name: the shared ones and your tenant’s own.
         */
        readonly get: operations["listImages"];
        readonly put?: never;
        /**
         * Import an image from the host
         * @description Makes an image of a directory or a tar archive on the daemon’s host; for the operator’s key only. Either the whole image is there when this answers, or nothing is. Two images are made at a time, of different tenants; at most 16 imports wait, one of each tenant, for at most 20 minutes.
         */
        readonly post: operations["importImage"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/images/{name}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Get an image */
        readonly get: operations["getImage"];
        /**
         * Upload an image
         * @description The body is a tar archive of a root directory, plain or packed with gzip, zstd, xz or bzip2, of at most 64 GiB unpacked; each file, directory and link counts 8 KiB beside its content, and there are at most 2,000,000. Something in it must be executable; /proc, /sys, /dev, /run, /etc and /tmp are made where they are missing. The image is your tenant’s own. Either the whole image is there when this answers, or nothing is. Two images are made at a time, of different tenants; at most 16 imports wait, one of each tenant, for at most 20 minutes.
         */
        readonly put: operations["uploadImage"];
        readonly post?: never;
        /**
         * Delete an image
         * @description One that was imported and that no machine uses. Shared ones are the operator’s to delete.
         */
        readonly delete: operations["deleteImage"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/keys": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List keys
         * @description A page of your tenant’s keys, or everyone’s for the operator, newest first; ended ones too, of which a tenant’s last 1000 are remembered. The operator’s own key, which is a file of the host, is not among them.
         */
        readonly get: operations["listKeys"];
        readonly put?: never;
        /**
         * Create a key
         * @description The answer has the key itself, once: keep it. A tenant has at most 1000 keys that are neither revoked nor expired.
         */
        readonly post: operations["createKey"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/keys/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Get a key */
        readonly get: operations["getKey"];
        readonly put?: never;
        readonly post?: never;
        /**
         * Revoke a key
         * @description It and all keys made with it are good for nothing from the answer on; another daemon on the same database may take a second. The key stays listed, with `revoked_at`. Revoking it again changes nothing.
         */
        readonly delete: operations["revokeKey"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/operations": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List operations
         * @description A page of what was and is being done to your machines, newest first. The oldest that ended are forgotten in time.
         */
        readonly get: operations["listOperations"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/operations/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Get an operation
         * @description A machine names the one under way in its `operation_id`.
         */
        readonly get: operations["getOperation"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        readonly Machine: {
            /** @example k3v9x2m1q8zt */
            readonly id: string;
            /** @example web-server */
            readonly name: string;
            readonly status: components["schemas"]["MachineStatus"];
            /** @example 1 */
            readonly vcpu_count: number;
            /**
             * @description Memory in MiB.
             * @example 256
             */
            readonly mem_size_mib: number;
            /**
             * Format: date-time
             * @description UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /** @example busybox */
            readonly image: string;
            /**
             * @example {
             *       "team": "web"
             *     }
             */
            readonly labels: {
                readonly [key: string]: string;
            };
            /**
             * Format: date-time
             * @description When it is deleted; null: never.
             * @example null
             */
            readonly expires_at: string | null;
            /**
             * @description A path of the host for the operator; for others the name of the file.
             * @example /var/lib/flotilla/kernel/vmlinux
             */
            readonly kernel_image_path: string | null;
            /**
             * @description The whole command line that its kernel was booted with; before its first start, the one it would be.
             * @example console=ttyS0 quiet
             */
            readonly kernel_args: string | null;
            /**
             * @description A path of the host for the operator; for others the name of the file.
             * @example /var/lib/flotilla/machines/k3v9x2m1q8zt/root.qcow2
             */
            readonly rootfs_path: string;
            /**
             * @description The VMM’s control socket while it runs; null but for the operator.
             * @example null
             */
            readonly socket_path: string | null;
            /**
             * @description Always null so far.
             * @example null
             */
            readonly tap_device: string | null;
            /**
             * @description Always null so far.
             * @example null
             */
            readonly tap_ip: string | null;
            /**
             * @description Always null so far.
             * @example null
             */
            readonly guest_ip: string | null;
            /**
             * @description Always null so far.
             * @example null
             */
            readonly guest_mac: string | null;
            /**
             * @description The VMM’s process while it runs; null but for the operator.
             * @example null
             */
            readonly pid: number | null;
            /**
             * @example [
             *       8080
             *     ]
             */
            readonly exposed_ports: readonly number[];
            /**
             * Format: date-time
             * @description UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly updated_at: string;
            /**
             * Format: date-time
             * @description When it last started; null before.
             * @example null
             */
            readonly started_at: string | null;
            /**
             * @description The finer state behind `status`.
             * @example created
             */
            readonly state: string;
            /**
             * @description The operation under way; null when there is none.
             * @example null
             */
            readonly operation_id: string | null;
            /**
             * @description Hyperfleet’s name of `image`.
             * @example busybox
             */
            readonly image_ref: string;
            /**
             * @description What the image’s name meant at creation.
             * @example sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
             */
            readonly image_digest: string;
            /** @example 1024 */
            readonly disk_size_mib: number;
            /** @example qemu */
            readonly engine: string;
            /**
             * @example auto
             * @enum {string}
             */
            readonly boot: "auto" | "cold";
            /**
             * @description Variables of every command; null for keys that may not run commands.
             * @example {
             *       "LANG": "C.UTF-8"
             *     }
             */
            readonly env: {
                readonly [key: string]: string;
            } | null;
            readonly restart: components["schemas"]["RestartPolicy"];
            /**
             * @description Restarts by its policy in a row; after 10 it is left as it is.
             * @example 0
             */
            readonly restart_count: number;
            /**
             * Format: date-time
             * @description When its policy starts it again; null when nothing is to come.
             * @example null
             */
            readonly restart_at: string | null;
            /**
             * @description Why it failed, while it is `failed`.
             * @example null
             */
            readonly error_message: string | null;
            /**
             * @description What this host does not give its machines, limits or isolation; empty when it gives all, and but for the operator.
             * @example []
             */
            readonly warnings: readonly string[];
            /**
             * @description `error_message` with its circumstances.
             * @example null
             */
            readonly failure: {
                readonly code: string;
                readonly message: string;
                /**
                 * Format: date-time
                 * @description UTC, ISO 8601.
                 * @example 2026-11-22T08:30:00.000Z
                 */
                readonly at: string;
                /** @description The last lines of its console. */
                readonly console: readonly string[];
            } | null;
        };
        /**
         * @description What a machine is, in the words of this API.
         * @enum {string}
         */
        readonly MachineStatus: "pending" | "starting" | "running" | "paused" | "stopping" | "stopped" | "failed";
        /**
         * @description `on-failure`: it is started again when it fails, `always`: also when its guest powers off; with growing delays, and at most 10 times in a row.
         * @enum {string}
         */
        readonly RestartPolicy: "no" | "on-failure" | "always";
        readonly Error: {
            readonly error: {
                /** @example NOT_FOUND */
                readonly code: string;
                /** @example Machine with id 'abc123' not found */
                readonly message: string;
                readonly request_id?: string;
                readonly retryable?: boolean;
                readonly hint?: string;
                /** @description Facts for programs: of a command that was killed at its timeout, what it had written. */
                readonly details?: {
                    readonly [key: string]: unknown;
                };
            };
        };
        readonly CreateMachine: {
            /**
             * @description Unique among your machines: letters, digits, `.`, `_` and `-`, as in a host name, but not 12 small letters and digits, which is an id.
             * @example web-server
             */
            readonly name: string;
            /** @example 1 */
            readonly vcpu_count: number;
            /**
             * @description Memory in MiB.
             * @example 256
             */
            readonly mem_size_mib: number;
            /**
             * @description Ports to publish.
             * @example [
             *       8080
             *     ]
             */
            readonly exposed_ports?: readonly number[];
            /**
             * @description A name, or a reference as registries have it: `debian:12` means `debian-12`. Default: debian-12.
             * @example busybox
             */
            readonly image?: string;
            /**
             * @description Size of the root disk in MiB.
             * @example 1024
             */
            readonly disk_size_mib?: number;
            /**
             * @description Default: this host’s.
             * @example qemu
             */
            readonly engine?: string;
            /**
             * @description `cold`: never from a prepared guest.
             * @example auto
             * @enum {string}
             */
            readonly boot?: "auto" | "cold";
            /**
             * @description Yours to give; lists can be filtered by them. At most 16 KiB of JSON in all.
             * @example {
             *       "team": "web"
             *     }
             */
            readonly labels?: {
                readonly [key: string]: string;
            };
            /**
             * @description Variables of every command that is run in it. At most 16 KiB of JSON in all.
             * @example {
             *       "LANG": "C.UTF-8"
             *     }
             */
            readonly env?: {
                readonly [key: string]: string;
            };
            readonly restart?: components["schemas"]["RestartPolicy"];
            /**
             * @description Seconds from now to its deletion, whatever it does then.
             * @example 3600
             */
            readonly lifetime_seconds?: number;
            /**
             * @description Hyperfleet’s name of `disk_size_mib`, which wins.
             * @example 1024
             */
            readonly image_size_mib?: number;
            /**
             * @description Set for the whole server: taken and not used; the answer has what is.
             * @example null
             */
            readonly kernel_image_path?: string | null;
            /**
             * @description Set for the whole server: taken and not used; the answer has what is.
             * @example null
             */
            readonly kernel_args?: string | null;
            /**
             * @description Set for the whole server: taken and not used; the answer has what is.
             * @example null
             */
            readonly rootfs_path?: string | null;
            /**
             * @description Guests have no network device yet: refused, but for `enable: false`.
             * @example {
             *       "enable": false
             *     }
             */
            readonly network?: {
                readonly enable?: boolean;
            } & {
                readonly [key: string]: unknown;
            };
            /** @description Images are not pulled from registries yet: refused. */
            readonly registry_auth?: {
                readonly [key: string]: unknown;
            };
        };
        readonly MachineList: {
            readonly machines: readonly components["schemas"]["MachineSummary"][];
            /**
             * @description Machines that match, on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly MachineSummary: {
            /** @example k3v9x2m1q8zt */
            readonly id: string;
            /** @example web-server */
            readonly name: string;
            readonly status: components["schemas"]["MachineStatus"];
            /** @example 1 */
            readonly vcpu_count: number;
            /**
             * @description Memory in MiB.
             * @example 256
             */
            readonly mem_size_mib: number;
            /**
             * Format: date-time
             * @description UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /** @example busybox */
            readonly image: string;
            /**
             * @example {
             *       "team": "web"
             *     }
             */
            readonly labels: {
                readonly [key: string]: string;
            };
            /**
             * Format: date-time
             * @description When it is deleted; null: never.
             * @example null
             */
            readonly expires_at: string | null;
        };
        readonly UpdateMachine: {
            /**
             * @description Unique among your machines: letters, digits, `.`, `_` and `-`, as in a host name, but not 12 small letters and digits, which is an id.
             * @example web-server
             */
            readonly name?: string;
            /**
             * @description Labels to set; null removes one. Others stay.
             * @example {
             *       "team": "web",
             *       "old": null
             *     }
             */
            readonly labels?: {
                readonly [key: string]: string | null;
            };
            /**
             * @description Variables to set; null removes one. Others stay. The key needs the scope machines:exec, too.
             * @example {
             *       "LANG": "C.UTF-8"
             *     }
             */
            readonly env?: {
                readonly [key: string]: string | null;
            };
            readonly restart?: components["schemas"]["RestartPolicy"];
            /**
             * @description Seconds from now to its deletion; null: it is never deleted.
             * @example 3600
             */
            readonly lifetime_seconds?: number | null;
            /**
             * @description Only while it is stopped.
             * @example 2
             */
            readonly vcpu_count?: number;
            /**
             * @description Memory in MiB. Only while it is stopped.
             * @example 512
             */
            readonly mem_size_mib?: number;
            /**
             * @description Size of the root disk in MiB, no less than before. Only while it is stopped.
             * @example 2048
             */
            readonly disk_size_mib?: number;
        };
        readonly ExecResult: {
            /**
             * @description 128 + the signal when a signal ended it.
             * @example 0
             */
            readonly exit_code: number;
            /** @example 6.1.0-37-amd64 */
            readonly stdout: string;
            /** @example  */
            readonly stderr: string;
            /**
             * @example exited
             * @enum {string}
             */
            readonly outcome: "exited" | "signalled";
            /**
             * @description Without `SIG`.
             * @example null
             */
            readonly signal: string | null;
            /**
             * @description More was written than a buffered answer holds.
             * @example false
             */
            readonly stdout_truncated: boolean;
            /** @example false */
            readonly stderr_truncated: boolean;
        };
        readonly ExecEvent: {
            /** @enum {string} */
            readonly type: "stdout";
            readonly offset: number;
            readonly data: string;
        } | {
            /** @enum {string} */
            readonly type: "stderr";
            readonly offset: number;
            readonly data: string;
        } | {
            /** @enum {string} */
            readonly type: "heartbeat";
        } | {
            /** @enum {string} */
            readonly type: "outcome";
            /** @enum {string} */
            readonly outcome: "exited" | "signalled" | "timed_out" | "unknown";
            /** @description 128 + the signal when a signal ended it; null when neither is known. */
            readonly exit_code: number | null;
            readonly signal: string | null;
            readonly reason: string | null;
        };
        readonly Exec: {
            /**
             * @description Program and arguments; no shell. Each has at most 131,071 bytes; together with the environment they have what the guest’s kernel takes, usually 2 MiB. `cmd`, the older name, is accepted too.
             * @example [
             *       "uname",
             *       "-r"
             *     ]
             */
            readonly command: readonly string[];
            /**
             * @description Seconds until it is killed; 86400 where it is more.
             * @default 30
             */
            readonly timeout?: number;
            /**
             * @description Added to the environment, and to the machine’s own variables, which it overrides.
             * @example {
             *       "LANG": "C.UTF-8"
             *     }
             */
            readonly env?: {
                readonly [key: string]: string;
            };
            /**
             * @description Working directory.
             * @example /
             */
            readonly cwd?: string;
            /**
             * @description A user of the guest by name or number; `USER:GROUP` also says the only group.
             * @example root
             */
            readonly user?: string;
            /**
             * @description Standard input, base64.
             * @example aGVsbG8K
             */
            readonly stdin?: string;
        };
        readonly Health: {
            /**
             * @example healthy
             * @enum {string}
             */
            readonly status: "healthy";
            /** @example 0.1.0 */
            readonly version: string;
            /**
             * @description Seconds since the daemon started.
             * @example 12.5
             */
            readonly uptime: number;
            /**
             * @description The same in whole seconds.
             * @example 12
             */
            readonly uptime_seconds: number;
        };
        readonly Image: {
            /** @example alpine-3.20 */
            readonly name: string;
            /**
             * @description Of the root file system, which never changes.
             * @example sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
             */
            readonly digest: string;
            /**
             * @description The least size of a machine’s disk, in MiB.
             * @example 128
             */
            readonly size_mib: number;
            /** @example 96 */
            readonly min_memory_mib: number;
            /**
             * @description `host`: guests boot with this host’s kernel. `image`: with the newest in the image, `/boot/vmlinuz-<release>` or `/boot/vmlinux-<release>`, and its `/lib/modules/<release>`.
             * @example host
             * @enum {string}
             */
            readonly kernel: "host" | "image";
            /**
             * @description What `uname -r` says; null for this host’s kernel, which set-up may replace.
             * @example null
             */
            readonly kernel_release: string | null;
            /**
             * @description Made by set-up; cannot be deleted.
             * @example false
             */
            readonly built_in: boolean;
            /**
             * @description Everyone on this host sees it.
             * @example false
             */
            readonly shared: boolean;
            /**
             * Format: date-time
             * @description UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
        };
        readonly ImportImage: {
            /**
             * @description Unique among the images you can see.
             * @example alpine-3.20
             */
            readonly name: string;
            /**
             * @description Absolute path of a directory on the daemon’s host: the root directory of the image.
             * @example /srv/roots/alpine
             */
            readonly directory?: string;
            /**
             * @description Absolute path of a tar archive on the daemon’s host: plain, or packed with gzip, zstd, xz or bzip2.
             * @example /srv/roots/alpine.tar.gz
             */
            readonly tarball?: string;
            /**
             * @description `host`: guests boot with this host’s kernel. `image`: with the newest in the image, `/boot/vmlinuz-<release>` or `/boot/vmlinux-<release>`, and its `/lib/modules/<release>`.
             * @default host
             * @example host
             * @enum {string}
             */
            readonly kernel?: "host" | "image";
            /**
             * @description The least memory a machine with this image may have, in MiB.
             * @default 96
             * @example 96
             */
            readonly min_memory_mib?: number;
            /**
             * @description For everyone on this host, not for your tenant alone.
             * @default false
             * @example false
             */
            readonly shared?: boolean;
        };
        readonly ImageList: {
            readonly images: readonly components["schemas"]["Image"][];
            /**
             * @description Images you can see, on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly CreatedKey: components["schemas"]["Key"] & {
            /**
             * @description The key itself. It is shown here and never again.
             * @example hf_5Gd0aQzXb7Lr2YtVw9KpEu4NsHc6MjTf
             */
            readonly key: string;
        };
        /**
         * @description What a key may be used for: to look at machines; to create, change and delete them; to run commands in them; everything, keys included.
         * @enum {string}
         */
        readonly Scope: "machines:read" | "machines:write" | "machines:exec" | "*";
        readonly Key: {
            /** @example m4t8w1x6c3ra */
            readonly id: string;
            /**
             * @description For you to know it by; need not be unique.
             * @example ci
             */
            readonly name: string;
            /**
             * @example [
             *       "machines:read",
             *       "machines:exec"
             *     ]
             */
            readonly scopes: readonly components["schemas"]["Scope"][];
            /** @example default */
            readonly tenant: string;
            /**
             * @description How the key begins.
             * @example hf_5Gd0aQzX
             */
            readonly prefix: string;
            /**
             * Format: date-time
             * @description UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * Format: date-time
             * @description Null: never.
             * @example null
             */
            readonly expires_at: string | null;
            /**
             * Format: date-time
             * @description To the minute; null before the first use.
             * @example null
             */
            readonly last_used_at: string | null;
            /**
             * Format: date-time
             * @description Null while it is good.
             * @example null
             */
            readonly revoked_at: string | null;
            /**
             * @description The key it was made with, and with which it is revoked; null: the operator’s.
             * @example null
             */
            readonly created_by: string | null;
        };
        readonly CreateKey: {
            /**
             * @description For you to know it by; need not be unique.
             * @example ci
             */
            readonly name: string;
            /**
             * @example [
             *       "machines:read",
             *       "machines:exec"
             *     ]
             */
            readonly scopes: readonly components["schemas"]["Scope"][];
            /**
             * Format: date-time
             * @description When it stops being good, in the future, as RFC 3339 says it. Default: never.
             * @example 2126-11-22T08:30:00.000Z
             */
            readonly expires_at?: string;
            /**
             * @description Whose machines it is for. Default: yours, and only the operator may name another.
             * @example default
             */
            readonly tenant?: string;
        };
        readonly KeyList: {
            readonly keys: readonly components["schemas"]["Key"][];
            /**
             * @description Keys that match, on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly OperationList: {
            readonly operations: readonly components["schemas"]["Operation"][];
            /**
             * @description Operations that match, on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly Operation: {
            /** @example p7d0w4h2n6ry */
            readonly id: string;
            /**
             * @example machine.start
             * @enum {string}
             */
            readonly kind: "machine.create" | "machine.start" | "machine.restart" | "machine.stop" | "machine.pause" | "machine.resume" | "machine.delete" | "image.import" | "image.delete";
            /** @description What it is about; each may be gone by now. */
            readonly subjects: readonly components["schemas"]["OperationSubject"][];
            /**
             * @description The machine among its subjects; null when there is none.
             * @example k3v9x2m1q8zt
             */
            readonly machine_id: string | null;
            readonly state: components["schemas"]["OperationState"];
            /**
             * @description Another request, such as a stop, asked it to end.
             * @example false
             */
            readonly cancel_requested: boolean;
            /** @description Those that began, in that order, each with its latest phase. */
            readonly steps: readonly components["schemas"]["OperationStep"][];
            readonly failure: components["schemas"]["OperationFailure"];
            /**
             * Format: date-time
             * @description UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * Format: date-time
             * @description UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly updated_at: string;
        };
        readonly OperationSubject: {
            /**
             * @example machine
             * @enum {string}
             */
            readonly kind: "machine" | "image" | "snapshot" | "environment" | "host";
            /** @example k3v9x2m1q8zt */
            readonly id: string;
        };
        /**
         * @description `undoing`: a step failed, or it was cancelled, and what was done is being undone. The last three are final.
         * @enum {string}
         */
        readonly OperationState: "running" | "undoing" | "succeeded" | "failed" | "cancelled";
        readonly OperationStep: {
            /** @example launch */
            readonly name: string;
            /**
             * @example succeeded
             * @enum {string}
             */
            readonly phase: "started" | "succeeded" | "undoing" | "undone";
            /**
             * Format: date-time
             * @description When this phase began.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly at: string;
        };
        /** @description Why it failed or was cancelled; null while nothing went wrong. */
        readonly OperationFailure: {
            /**
             * @description For programs: `timed_out`, `guest` (it or the link to it), `engine_failed` (the VMM), `exhausted` (no room left), `unavailable`, `unsupported`, `conflict` (it was cancelled), `abandoned` (a restarted daemon could not take it up again) or `internal`. New ones may come.
             * @example timed_out
             */
            readonly code: string;
            /** @example the guest did not answer within 60 s */
            readonly message: string;
            /**
             * @description The step that failed; null when it was none.
             * @example ready
             */
            readonly step: string | null;
        } | null;
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description The id you gave the request, or the one it was given. */
        readonly RequestId: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    readonly listMachines: {
        readonly parameters: {
            readonly query?: {
                /** @description What a machine is, in the words of this API. */
                readonly status?: components["schemas"]["MachineStatus"];
                /** @description `key=value`, or `key` for any value. Given more than once: all of them. */
                readonly label?: readonly string[];
                /** @description An image’s name as given at creation, or a digest. */
                readonly image?: string;
                /** @description `-`: in descending order. */
                readonly sort?: "created_at" | "-created_at" | "updated_at" | "-updated_at" | "name" | "-name" | "mem_size_mib" | "-mem_size_mib";
                /** @description Machines on a page. */
                readonly limit?: number;
                /** @description Machines to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of machines. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["MachineList"];
                };
            };
        };
    };
    readonly createMachine: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "name": "web-server",
                 *       "vcpu_count": 1,
                 *       "mem_size_mib": 256,
                 *       "image": "busybox",
                 *       "exposed_ports": [
                 *         8080
                 *       ],
                 *       "labels": {
                 *         "team": "web"
                 *       }
                 *     }
                 */
                readonly "application/json": components["schemas"]["CreateMachine"];
            };
        };
        readonly responses: {
            /** @description The machine. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Machine"];
                };
            };
        };
    };
    readonly getMachine: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The machine. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Machine"];
                };
            };
        };
    };
    readonly deleteMachine: {
        readonly parameters: {
            readonly query?: {
                /** @description Delete it even if it runs, and cancel what it is doing. */
                readonly force?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Deleted. */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly updateMachine: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                /**
                 * @example {
                 *       "labels": {
                 *         "team": "web"
                 *       },
                 *       "lifetime_seconds": 3600
                 *     }
                 */
                readonly "application/json": components["schemas"]["UpdateMachine"];
            };
        };
        readonly responses: {
            /** @description The machine. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Machine"];
                };
            };
        };
    };
    readonly startMachine: {
        readonly parameters: {
            readonly query?: {
                /** @description Answer 200, not 400, when it is already so or on its way. */
                readonly idempotent?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The machine. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Machine"];
                };
            };
        };
    };
    readonly stopMachine: {
        readonly parameters: {
            readonly query?: {
                /** @description Answer 200, not 400, when it is already so or on its way. */
                readonly idempotent?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The machine. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Machine"];
                };
            };
        };
    };
    readonly restartMachine: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The machine. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Machine"];
                };
            };
        };
    };
    readonly pauseMachine: {
        readonly parameters: {
            readonly query?: {
                /** @description Answer 200, not 400, when it is already so or on its way. */
                readonly idempotent?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The machine. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Machine"];
                };
            };
        };
    };
    readonly resumeMachine: {
        readonly parameters: {
            readonly query?: {
                /** @description Answer 200, not 400, when it is already so or on its way. */
                readonly idempotent?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The machine. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Machine"];
                };
            };
        };
    };
    readonly waitForMachine: {
        readonly parameters: {
            readonly query: {
                /** @description What a machine is, in the words of this API. */
                readonly status: components["schemas"]["MachineStatus"];
                /** @description Seconds. */
                readonly timeout?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The machine. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Machine"];
                };
            };
        };
    };
    readonly getMachineConsole: {
        readonly parameters: {
            readonly query?: {
                /** @description How many of the last lines; together at most 1 MiB of them. */
                readonly lines?: number;
                /** @description Go on with what comes, until the machine stops. */
                readonly follow?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description What the console said, oldest line first. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "text/plain": string;
                };
            };
        };
    };
    readonly execInMachine: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "command": [
                 *         "uname",
                 *         "-r"
                 *       ],
                 *       "timeout": 10
                 *     }
                 */
                readonly "application/json": components["schemas"]["Exec"];
            };
        };
        readonly responses: {
            /** @description How the command ended, or its events. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ExecResult"];
                    readonly "application/x-ndjson": components["schemas"]["ExecEvent"];
                };
            };
        };
    };
    readonly getHealth: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description It does. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Health"];
                };
            };
        };
    };
    readonly listImages: {
        readonly parameters: {
            readonly query?: {
                /** @description Images on a page. */
                readonly limit?: number;
                /** @description Images to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of images, by name. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ImageList"];
                };
            };
        };
    };
    readonly importImage: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "name": "alpine-3.20",
                 *       "directory": "/srv/roots/alpine",
                 *       "kernel": "host",
                 *       "min_memory_mib": 96,
                 *       "shared": true
                 *     }
                 */
                readonly "application/json": components["schemas"]["ImportImage"];
            };
        };
        readonly responses: {
            /** @description The image. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Image"];
                };
            };
        };
    };
    readonly getImage: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The image’s name. */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The image. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Image"];
                };
            };
        };
    };
    readonly uploadImage: {
        readonly parameters: {
            readonly query?: {
                /** @description `host`: guests boot with this host’s kernel. `image`: with the newest in the image, `/boot/vmlinuz-<release>` or `/boot/vmlinux-<release>`, and its `/lib/modules/<release>`. */
                readonly kernel?: "host" | "image";
                /** @description The least memory a machine with this image may have, in MiB. */
                readonly min_memory_mib?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description The image’s name. */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/octet-stream": string;
            };
        };
        readonly responses: {
            /** @description The image. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Image"];
                };
            };
        };
    };
    readonly deleteImage: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The image’s name. */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Deleted. */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly listKeys: {
        readonly parameters: {
            readonly query?: {
                /** @description Keys on a page. */
                readonly limit?: number;
                /** @description Keys to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of keys, newest first. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["KeyList"];
                };
            };
        };
    };
    readonly createKey: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "name": "ci",
                 *       "scopes": [
                 *         "machines:read",
                 *         "machines:exec"
                 *       ],
                 *       "expires_at": "2126-11-22T08:30:00Z"
                 *     }
                 */
                readonly "application/json": components["schemas"]["CreateKey"];
            };
        };
        readonly responses: {
            /** @description The key, with its secret. Not to be cached. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["CreatedKey"];
                };
            };
        };
    };
    readonly getKey: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The key’s id. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The key. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Key"];
                };
            };
        };
    };
    readonly revokeKey: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The key’s id. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Revoked. */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly listOperations: {
        readonly parameters: {
            readonly query?: {
                /** @description One machine’s: by its id, also when it is gone, or by its name while it is there. */
                readonly machine?: string;
                /** @description `undoing`: a step failed, or it was cancelled, and what was done is being undone. The last three are final. */
                readonly state?: components["schemas"]["OperationState"];
                /** @description Operations on a page. */
                readonly limit?: number;
                /** @description Operations to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of operations, newest first. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["OperationList"];
                };
            };
        };
    };
    readonly getOperation: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The operation. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Operation"];
                };
            };
        };
    };
}
