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
         * @description Returns one page of your machines that match the filters, newest first by default. `total` counts the machines on all pages.
         */
        readonly get: operations["listMachines"];
        readonly put?: never;
        /**
         * Create a machine
         * @description Records the machine and prepares its disk. Start it with `POST /machines/{id}/start`.
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
        /**
         * Get a machine
         * @description Returns one of your machines, by id or name.
         */
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
         * @description Changes the given fields and leaves all others. Name, labels, environment, lifetime, restart policy and idle policy can change at any
         *     time; vCPUs, memory and disk only while the machine is stopped. The guest gets a new host name or a larger disk at its next start.
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
         * @description Asks the guest to power off, and ends its VMM if it does not. A paused machine is resumed first. A suspended one is stopped only with `force`; without it, one that is being restored stays suspended.
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
    readonly "/machines/{id}/suspend": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Suspend a machine
         * @description Saves the memory of a running or paused machine beside its disk, and frees its memory and processors; `start` restores it, with
         *     its programs as they were and its clock set right. A suspended machine stays so when the daemon or the host restarts.
         *     Connections through its network end. The time that it takes, and the space, grow with the memory that the guest has used. Without
         *     space the answer is 503 and the machine goes on. An engine that cannot save memory answers 400.
         */
        readonly post: operations["suspendMachine"];
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
    readonly "/machines/{id}/metrics": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Measure a machine
         * @description What the machine uses at this moment, measured when asked. A machine that does not run has only its sizes. What is not measured is null.
         */
        readonly get: operations["getMachineMetrics"];
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
         * @description Returns the last lines of the serial console of the machine’s current or latest run; nothing before the first start. With
         *     `follow` the answer continues with new output until the machine stops or restarts. For a starting machine it begins with the
         *     first line. There is no heartbeat, so the answer may be silent for a long time. At most 16 requests can follow one machine. A
         *     slow reader loses output that has left the buffer.
         *
         *     With `previous` it returns the console of the boot before, for example of one that crashed and was restarted. One previous
         *     boot is kept, at most 1 MiB; it is deleted with the machine. A boot that printed nothing is not kept. Without one the answer is 404.
         *
         *     With `timestamps` each line begins with the time at which the daemon saw it, to about 0.1 s. If the daemon may have seen the line
         *     more than 3 s after it was printed, `[seen late, after 2026-11-29T10:00:00.000Z]` follows: the line was printed between the two
         *     times. Without `after` the earlier time is unknown. The guest can print the same words itself, but only after the time.
         *
         *     The guest writes the text, which may contain escape sequences: filter them before you print it to a terminal. Bytes that are
         *     not UTF-8 are replaced by U+FFFD.
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
         * @description Runs a program in the guest and returns its exit code and output when it ends; a client that disconnects ends the command. A
         *     command that exits with a code other than 0 is still answered with 200.
         *
         *     With `Accept: application/x-ndjson` (one JSON object on each line) or `Accept: text/event-stream` the answer is a stream of events instead.
         *     Its first event names the command. If the client disconnects, the command goes on to its `timeout`, unless it has not taken all its
         *     `stdin` yet; `GET /machines/{id}/execs/{eid}/output` attaches to it again.
         *
         *     With `detach` the answer is the command's id, at once.
         */
        readonly post: operations["execInMachine"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/execs": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List commands
         * @description The detached and streamed commands of the machine’s current boot. Ended ones are kept until they are deleted or until their place is needed, and for ten seconds if nobody has asked about them: a machine has at most 64, and an eighth of its memory for their output. They are gone when the machine stops.
         */
        readonly get: operations["listExecs"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/execs/{eid}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Get a command
         * @description Tells whether the command runs, how it ended, and how much it wrote.
         */
        readonly get: operations["getExec"];
        readonly put?: never;
        readonly post?: never;
        /**
         * Delete a command
         * @description Ends the command and everything it started, if it still runs, and drops its output.
         */
        readonly delete: operations["deleteExec"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/execs/{eid}/output": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Read a command’s output
         * @description Returns the output from a cursor on, as bytes or, with `Accept: application/x-ndjson` or `Accept: text/event-stream`, as events. With
         *     `follow` the answer goes on until the command ends; without it, `X-Output-Next` is the cursor to continue with, and `X-Exec-State`
         *     says whether the command runs.
         *
         *     The guest keeps the last 1 MiB (256 KiB of a streamed command). While a client reads, the command waits for it, so no byte is lost. An
         *     answer whose connection is cut is incomplete: continue with the `cursor` of the last event. A browser’s EventSource does so by itself;
         *     close it after `outcome` or `caught_up`.
         */
        readonly get: operations["getExecOutput"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/execs/{eid}/wait": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Wait for a command
         * @description Answers as soon as the command has ended.
         */
        readonly get: operations["waitForExec"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/execs/{eid}/signal": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Send a signal
         * @description Sends a signal to the command’s process group. It never waits behind standard input.
         */
        readonly post: operations["signalExec"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/execs/{eid}/stdin": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Send standard input
         * @description Passes on the body to a command with `stdin_open`, as fast as the command reads it, and answers when the guest has all of it. With `end`, standard input ends afterwards.
         */
        readonly post: operations["feedExec"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/execs/{eid}/resize": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Resize a terminal
         * @description Changes the size of the command’s terminal.
         */
        readonly post: operations["resizeExec"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/files": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Read a file as base64
         * @description Hyperfleet’s form, for files of at most 100 MiB. `GET /machines/{id}/files/content` has no limit. The answer is cut off if the file changes while it is read, so what arrives whole is of one moment.
         */
        readonly get: operations["readFile"];
        readonly put?: never;
        /**
         * Write a file from base64
         * @description Hyperfleet’s form, for files of at most 100 MiB. A file that is there is replaced at once and keeps mode and owner; a failed request changes nothing. `PUT /machines/{id}/files/content` takes any size.
         */
        readonly post: operations["writeFile"];
        /**
         * Delete a file
         * @description Deletes a file, a link (not its target) or an empty directory; with `recursive` a directory and everything in it. Nothing is deleted if another file system is mounted below.
         */
        readonly delete: operations["deleteFile"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/files/stat": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Describe a file
         * @description Describes a file or directory; of a symbolic link the link itself, unless `follow` is true.
         */
        readonly get: operations["statFile"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/files/content": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Download a file
         * @description The bytes of a file of any size, as fast as they are read. Understands `Range` (one), `If-None-Match` and `If-Range`. The headers `X-File-Mode`, `X-File-Uid` and `X-File-Gid` describe it; HEAD sends only the headers. The answer is cut off if the file changes while it is read, so what arrives whole is of one moment.
         */
        readonly get: operations["downloadFile"];
        /**
         * Upload a file
         * @description Writes the body to a file, of any size. Nobody in the guest sees a part of it: the new content replaces the old one at the end, synced to the disk, and a request that is cut off changes nothing. Through a symbolic link its target is written; devices and files of /proc and /sys are written in place.
         */
        readonly put: operations["uploadFile"];
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/files/list": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List a directory
         * @description Returns one page of the files in a directory, by name in byte order.
         */
        readonly get: operations["listFiles"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/files/mkdir": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Make a directory
         * @description Makes a directory.
         */
        readonly post: operations["makeDirectory"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/files/move": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Move a file
         * @description Renames a file or directory, within one file system of the guest.
         */
        readonly post: operations["moveFile"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/files/archive": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Download a tree
         * @description A tar archive of a file or a directory with everything in it; its first entry is named like the path’s last part, or as `name` says. Owners, modes, times, links, holes, devices and extended attributes are kept, sockets are left out, and other file systems below are not entered. The answer is cut off if the file changes while it is read, so what arrives whole is of one moment.
         */
        readonly get: operations["downloadArchive"];
        /**
         * Upload a tree
         * @description Unpacks the body, a tar archive without compression, into a directory. Each of its files appears whole or not at all, and replaces one that is there; a directory never replaces a file, nor a file a directory. No name or link in it leads out of the directory.
         */
        readonly put: operations["uploadArchive"];
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/files/watch": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Watch files
         * @description Server-sent events for each change of a file, of the files in a directory or, with `recursive`, of a whole tree of at most 8192 directories. `overflow` means that changes were lost: look again. Ends when the path is gone.
         */
        readonly get: operations["watchFiles"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/ssh-certificates": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Make an SSH certificate
         * @description Signs your public key, so that its private half can enter this machine through the SSH gateway for a few minutes. The certificate ends with the API key that it was made with.
         */
        readonly post: operations["createSshCertificate"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/ports": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List published ports
         * @description Returns the ports of the host that lead to the machine, in the order in which they were published.
         */
        readonly get: operations["listMachinePorts"];
        readonly put?: never;
        /**
         * Publish a port
         * @description Makes a port of the host lead to a port of the guest: at once, also while the machine runs. It stays until it is withdrawn or the machine is deleted.
         */
        readonly post: operations["publishMachinePort"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/ports/{host_port}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        readonly post?: never;
        /**
         * Withdraw a published port
         * @description Ends the port at once, with its connections, and frees it for other machines.
         */
        readonly delete: operations["unpublishMachinePort"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/network/denied": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List refused packets
         * @description Returns what the egress policy has refused since the machine started, gathered by destination, newest first; at most 1000.
         */
        readonly get: operations["listDeniedEgress"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/routes": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** List the routes of a machine */
        readonly get: operations["listMachineRoutes"];
        readonly put?: never;
        /**
         * Create a route to a machine
         * @description Gives a port of the machine a name in the reverse proxy’s domain: `shop.flotilla.example`. The port need not be exposed.
         */
        readonly post: operations["createMachineRoute"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/snapshots": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List the snapshots of a machine
         * @description Also of a deleted machine, by its id.
         */
        readonly get: operations["listMachineSnapshots"];
        readonly put?: never;
        /**
         * Take a snapshot of a machine
         * @description Copies the disk and, unless `memory` is false, the memory of the machine at one moment. A running machine stands still
         *     for that moment and goes on. The snapshot stays when the machine is changed, set back or deleted.
         */
        readonly post: operations["createSnapshot"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/machines/{id}/fork": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Fork a machine
         * @description Makes machines that go on from this moment of the machine, each with its own name, addresses and disk; the machine goes on
         *     as well. Without room for all of them none is made. If one cannot be made or started afterwards, its `error` says why, and the
         *     answer is 201 as long as one was made.
         */
        readonly post: operations["forkMachine"];
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
         * Check that the daemon runs
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
    readonly "/api/v1/environments": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List environments
         * @description A page of your environments, newest first.
         */
        readonly get: operations["listEnvironments"];
        readonly put?: never;
        /**
         * Create an environment
         * @description Creates and starts its machines, and answers when each runs or has failed. `warnings` names those that failed; when all failed, nothing is left.
         */
        readonly post: operations["createEnvironment"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/environments/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Get an environment */
        readonly get: operations["getEnvironment"];
        readonly put?: never;
        readonly post?: never;
        /**
         * Delete an environment
         * @description Deletes its machines, whatever state they are in, and then the environment. When a machine cannot be deleted, the environment stays with it and a warning says so.
         */
        readonly delete: operations["deleteEnvironment"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/environments/{id}/extend": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Set an environment’s lifetime
         * @description Counted from now. What is longer than the host allows is shortened, and a warning says so.
         */
        readonly post: operations["extendEnvironment"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/environments/{id}/stop": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Stop an environment
         * @description Pauses its machines, or stops those whose engine cannot pause. Its lifetime stands still. When that fails for a machine, the others are stopped and the environment stays active.
         */
        readonly post: operations["stopEnvironment"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/environments/{id}/start": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Start an environment
         * @description Resumes or starts its machines. The rest of its lifetime begins.
         */
        readonly post: operations["startEnvironment"];
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
         * @description Returns one page of the images that you can see, ordered by name: shared ones and your tenant’s own.
         */
        readonly get: operations["listImages"];
        readonly put?: never;
        /**
         * Import an image from the host
         * @description Makes an image from a directory or a tar archive on the daemon’s host. Needs the operator’s key. The import is atomic: on failure nothing is left behind. The host builds two images at a time, at most one for each tenant. At most 16 imports wait, one for each tenant, for at most 20 minutes.
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
        /**
         * Get an image
         * @description Returns an image that you can see, by name in any spelling: `debian:12` is `debian-12`. Aliases are not followed.
         */
        readonly get: operations["getImage"];
        /**
         * Upload an image
         * @description Makes an image from the body: a tar archive of a root directory, plain or compressed with gzip, zstd, xz or bzip2. Unpacked, it may
         *     have 64 GiB and 2,000,000 entries; each file, directory and link counts 8 KiB in addition to its content. At least one file must be
         *     executable. Missing directories /proc, /sys, /dev, /run, /etc and /tmp are created. The image belongs to your tenant.
         *     The import is atomic: on failure nothing is left behind. The host builds two images at a time, at most one for each tenant. At most 16 imports wait, one for each tenant, for at most 20 minutes.
         */
        readonly put: operations["uploadImage"];
        readonly post?: never;
        /**
         * Delete an image
         * @description Deletes an imported image that no machine uses, by its exact name. Only the operator can delete shared images.
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
         * @description Returns one page of your tenant’s keys, newest first; with the operator’s key, those of all tenants. Includes revoked and expired keys, the last 1000 of each tenant. The operator’s own key is a file on the host and is not listed.
         */
        readonly get: operations["listKeys"];
        readonly put?: never;
        /**
         * Create a key
         * @description Returns the key’s secret, which is never shown again: store it. A tenant can have 1000 keys that are neither revoked nor expired.
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
        /**
         * Get a key
         * @description Returns a key of your tenant, without its secret.
         */
        readonly get: operations["getKey"];
        readonly put?: never;
        readonly post?: never;
        /**
         * Revoke a key
         * @description Ends the key and all keys that were created with it at once; other daemons on the same database may accept them for one more second. The key stays listed, with `revoked_at`. Revoking it again changes nothing.
         */
        readonly delete: operations["revokeKey"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/quotas": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List quotas
         * @description A page of the quotas that were set, by tenant. For the operator.
         */
        readonly get: operations["listQuotas"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/quotas/{tenant}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Get a tenant’s quota
         * @description Its limits and what it uses of them. Your own, or any tenant’s for the operator.
         */
        readonly get: operations["getQuota"];
        /**
         * Set a tenant’s quota
         * @description Replaces its limits. They apply to new machines and to machines that grow; what the tenant has stays. For the operator.
         */
        readonly put: operations["setQuota"];
        readonly post?: never;
        /**
         * Remove a tenant’s quota
         * @description From then on, the host’s limits for every tenant apply. For the operator.
         */
        readonly delete: operations["removeQuota"];
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
         * @description Returns one page of running and ended operations on your machines and images, newest first. The oldest ended ones are removed.
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
         * @description The `operation_id` of a machine is the id of its open operation.
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
    readonly "/api/v1/routes": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List routes
         * @description A page of your tenant’s routes, newest first.
         */
        readonly get: operations["listRoutes"];
        readonly put?: never;
        /**
         * Create a route
         * @description As `POST /machines/{id}/routes`, with the machine in the body.
         */
        readonly post: operations["createRoute"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/routes/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Get a route */
        readonly get: operations["getRoute"];
        readonly put?: never;
        readonly post?: never;
        /** Delete a route */
        readonly delete: operations["deleteRoute"];
        readonly options?: never;
        readonly head?: never;
        /**
         * Change a route
         * @description New requests go to the new port at once.
         */
        readonly patch: operations["updateRoute"];
        readonly trace?: never;
    };
    readonly "/api/v1/routes/{id}/tokens": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Make a token for a private route
         * @description Whoever has the token may send requests through the route until it expires, or until all tokens of the route are revoked.
         */
        readonly post: operations["createRouteToken"];
        /** Revoke all tokens of a private route */
        readonly delete: operations["revokeRouteTokens"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/snapshots": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** List snapshots */
        readonly get: operations["listSnapshots"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/snapshots/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Get a snapshot */
        readonly get: operations["getSnapshot"];
        readonly put?: never;
        readonly post?: never;
        /**
         * Delete a snapshot
         * @description Machines made from it, and later snapshots of its machine, stay as they are.
         */
        readonly delete: operations["deleteSnapshot"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/snapshots/{id}/restore": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Set a machine back
         * @description Sets the machine that the snapshot was taken of back to it: the disk and, if the snapshot has that, the memory. What the machine
         *     has now is lost, also when it runs. Its name, labels, network and policies stay. Connections end.
         */
        readonly post: operations["restoreSnapshot"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/ssh-keys": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List SSH keys
         * @description A page of your tenant’s SSH keys, newest first.
         */
        readonly get: operations["listSshKeys"];
        readonly put?: never;
        /**
         * Register an SSH key
         * @description Whoever has its private half can enter your tenant’s machines through the SSH gateway: `ssh web@host -p 2222`. A tenant can have 1000.
         */
        readonly post: operations["createSshKey"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/ssh-keys/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Get an SSH key */
        readonly get: operations["getSshKey"];
        readonly put?: never;
        readonly post?: never;
        /**
         * Delete an SSH key
         * @description Ends the SSH connections that were made with it.
         */
        readonly delete: operations["deleteSshKey"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/templates": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * List templates
         * @description A page of your tenant’s templates, newest first.
         */
        readonly get: operations["listTemplates"];
        readonly put?: never;
        /**
         * Create a template
         * @description What machines made with `template` have in common; fields of the machine’s own request take precedence.
         */
        readonly post: operations["createTemplate"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/api/v1/templates/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Get a template */
        readonly get: operations["getTemplate"];
        readonly put?: never;
        readonly post?: never;
        /**
         * Delete a template
         * @description Machines made from it stay as they are.
         */
        readonly delete: operations["deleteTemplate"];
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
            /**
             * @description Identifier: 12 lower-case letters and digits.
             * @example k3v9x2m1q8zt
             */
            readonly id: string;
            /**
             * @description Unique among your machines.
             * @example web-server
             */
            readonly name: string;
            readonly status: components["schemas"]["MachineStatus"];
            /**
             * @description Number of vCPUs.
             * @example 1
             */
            readonly vcpu_count: number;
            /**
             * @description Memory in MiB.
             * @example 256
             */
            readonly mem_size_mib: number;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * @description Name of the image.
             * @example busybox
             */
            readonly image: string;
            /**
             * @description Your labels.
             * @example {
             *       "team": "web"
             *     }
             */
            readonly labels: {
                readonly [key: string]: string;
            };
            /**
             * Format: date-time
             * @description Time (UTC) at which its lifetime ends and `on_expire` happens; null without a lifetime, and while that stands still or has ended.
             * @example null
             */
            readonly expires_at: string | null;
            readonly on_expire: components["schemas"]["ExpiryAction"];
            /**
             * @description Path on the host; only its file name for keys other than the operator’s.
             * @example /var/lib/flotilla/kernel/vmlinux
             */
            readonly kernel_image_path: string | null;
            /**
             * @description Complete kernel command line of the latest boot; before the first start, that of the next boot.
             * @example console=ttyS0 quiet
             */
            readonly kernel_args: string | null;
            /**
             * @description Path on the host; only its file name for keys other than the operator’s.
             * @example /var/lib/flotilla/machines/k3v9x2m1q8zt/root.qcow2
             */
            readonly rootfs_path: string;
            /**
             * @description Control socket of the running VMM. Null for keys other than the operator’s.
             * @example null
             */
            readonly socket_path: string | null;
            /**
             * @description Always null: the host’s own devices are not shown.
             * @example null
             */
            readonly tap_device: string | null;
            /**
             * @description Always null: the host’s own devices are not shown.
             * @example null
             */
            readonly tap_ip: string | null;
            /**
             * @description See `network.ip`.
             * @example 10.77.0.9
             */
            readonly guest_ip: string | null;
            /**
             * @description See `network.mac`.
             * @example 02:66:0a:4d:00:09
             */
            readonly guest_mac: string | null;
            readonly network: components["schemas"]["MachineNetwork"];
            /**
             * @description Process id of the running VMM. Null for keys other than the operator’s.
             * @example null
             */
            readonly pid: number | null;
            /**
             * @description As requested.
             * @example [
             *       8080
             *     ]
             */
            readonly exposed_ports: readonly number[];
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly updated_at: string;
            /**
             * Format: date-time
             * @description Time (UTC) of the latest start; null before the first one.
             * @example null
             */
            readonly started_at: string | null;
            /**
             * @description More detailed than `status`: also `created`, `creating`, `pausing`, `resuming` and `deleting`.
             * @example created
             */
            readonly state: string;
            /**
             * @description Id of the open operation; null if there is none.
             * @example null
             */
            readonly operation_id: string | null;
            /**
             * @description Reference with which the image was requested; `image` is the name that it means.
             * @example alpine:latest
             */
            readonly image_ref: string;
            /**
             * @description How `image` differs from `image_ref`; absent when they are the same.
             * @example `alpine:latest` is not an image of this host; an alias maps it to debian-12
             */
            readonly image_note?: string;
            /**
             * @description Content of the image at creation.
             * @example sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
             */
            readonly image_digest: string;
            /**
             * @description Size of the root disk in MiB.
             * @example 1024
             */
            readonly disk_size_mib: number;
            /**
             * @description Engine that runs the machine.
             * @example qemu
             */
            readonly engine: string;
            /**
             * @description As requested.
             * @example auto
             * @enum {string}
             */
            readonly boot: "auto" | "cold";
            /**
             * @description How it came to run: its kernel booted, or its memory was restored. Null while it does not run.
             * @example cold
             * @enum {string|null}
             */
            readonly boot_kind: "cold" | "restored" | null;
            /**
             * Format: date-time
             * @description When its memory was saved; null unless it is suspended.
             * @example null
             */
            readonly suspended_at: string | null;
            /**
             * @description Id of the template it was created from; null if there is none.
             * @example null
             */
            readonly template: string | null;
            /**
             * @description Id of the snapshot it was made from, or last set back to, which may be gone; null if there is none.
             * @example null
             */
            readonly snapshot_id: string | null;
            /**
             * @description Environment variables of every command. Null for keys without the scope `machines:exec`.
             * @example {
             *       "LANG": "C.UTF-8"
             *     }
             */
            readonly env: {
                readonly [key: string]: string;
            } | null;
            readonly restart: components["schemas"]["RestartPolicy"];
            /**
             * @description Consecutive restarts by the policy, at most 10. Ten minutes of running reset it to 0.
             * @example 0
             */
            readonly restart_count: number;
            /**
             * Format: date-time
             * @description Time (UTC) of the next restart by the policy; null if none is due.
             * @example null
             */
            readonly restart_at: string | null;
            /**
             * @description Length of its lifetime as requested, and of the next one when it has ended; null: none, or set by an earlier version.
             * @example null
             */
            readonly lifetime_seconds: number | null;
            readonly lifetime_counts: components["schemas"]["LifetimeCounts"];
            /**
             * @description What is left of its lifetime while that stands still, rounded up; null while it counts down or there is none.
             * @example null
             */
            readonly lifetime_remaining_seconds: number | null;
            /**
             * @description Whether a request through the reverse proxy, or an SSH login, starts or resumes the machine when it is stopped or paused.
             * @example true
             */
            readonly auto_wake: boolean;
            readonly idle: components["schemas"]["IdlePolicy"];
            /**
             * Format: date-time
             * @description Until when `idle` does not act (UTC), as `hold_seconds` of PATCH says; null: nobody holds the machine.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly held_until: string | null;
            /**
             * Format: date-time
             * @description Earliest time (UTC) at which `idle` acts, if nobody uses the machine before; null while it does not run or has no such policy. Updated at most every 30 seconds.
             * @example null
             */
            readonly idle_at: string | null;
            /**
             * @description User data as given, or its template’s; null without any, and for keys that may not run commands.
             * @example null
             */
            readonly user_data: string | null;
            /**
             * @description Public keys that enter this machine alone through the SSH gateway.
             * @example []
             */
            readonly ssh_keys: readonly string[];
            /**
             * @description Port of the host at which SSH clients enter this machine alone; null: none.
             * @example null
             */
            readonly ssh_port: number | null;
            /** @description Whether its `ssh_port` is open now; absent without one. */
            readonly ssh?: {
                /** @example 16000 */
                readonly port: number;
                /** @enum {string} */
                readonly status: "open" | "closed";
                /**
                 * @description Why it is closed, such as another program of the host that has the port; it is tried again every 30 seconds.
                 * @example null
                 */
                readonly reason: string | null;
            };
            /**
             * @description How far its guest is with its user data and SSH keys; null: it had neither at creation.
             * @example null
             */
            readonly provisioning: {
                /** @enum {string} */
                readonly status: "pending" | "running" | "succeeded" | "failed";
                /**
                 * @description Why it failed.
                 * @example null
                 */
                readonly message: string | null;
                /**
                 * Format: date-time
                 * @description Time in UTC, ISO 8601.
                 * @example 2026-11-22T08:30:00.000Z
                 */
                readonly updated_at: string;
            } | null;
            /** @description The link to the guest’s agent, if something is or was wrong with it since its start or the daemon’s; absent otherwise. */
            readonly guest_link?: {
                /**
                 * @description While it is `down`, commands and files of the guest cannot be reached.
                 * @enum {string}
                 */
                readonly status: "up" | "down";
                /**
                 * @description Why it is down, or was lost the last time, for example because the guest broke the link’s protocol.
                 * @example The guest floods its link with empty frames
                 */
                readonly reason: string;
                /**
                 * Format: date-time
                 * @description When it was lost the last time; null: never.
                 * @example 2026-11-22T08:30:00.000Z
                 */
                readonly lost_at: string | null;
                /**
                 * @description How often it was lost.
                 * @example 1
                 */
                readonly lost_count: number;
            };
            /**
             * @description Reason of the failure; null if there is none.
             * @example null
             */
            readonly error_message: string | null;
            /**
             * @description Limits and isolation that this host cannot give its machines. Always empty for keys other than the operator’s.
             * @example []
             */
            readonly warnings: readonly string[];
            /**
             * @description Details of the failure; null if there is none.
             * @example null
             */
            readonly failure: {
                /** @description For programs, such as `timed_out`. New codes may be added. */
                readonly code: string;
                /** @description For people. */
                readonly message: string;
                /**
                 * Format: date-time
                 * @description Time in UTC, ISO 8601.
                 * @example 2026-11-22T08:30:00.000Z
                 */
                readonly at: string;
                /** @description The last lines of the console. */
                readonly console: readonly string[];
            } | null;
        };
        /**
         * @description Status of a machine. `state` shows it in more detail.
         * @enum {string}
         */
        readonly MachineStatus: "pending" | "starting" | "running" | "paused" | "suspended" | "stopping" | "stopped" | "failed";
        /**
         * @description What happens at the end of the lifetime. `delete`: the machine is gone, whatever its state. `pause`, `suspend` and `stop` put it to rest, as `idle` does; a whole new lifetime begins when it runs again.
         * @enum {string}
         */
        readonly ExpiryAction: "delete" | "pause" | "suspend" | "stop";
        /** @description Its place in the network of its host. */
        readonly MachineNetwork: {
            /** @enum {string} */
            readonly mode: "nat" | "bridge" | "none";
            /**
             * @description `user`: this host makes no bridge, so the guest’s interface reaches nothing, and the daemon carries connections to published TCP ports.
             * @example bridge
             * @enum {string}
             */
            readonly kind: "bridge" | "user";
            /**
             * @description Why it has no working network, or which change is not in force yet; null: nothing is wrong.
             * @example null
             */
            readonly note: string | null;
            /** @example 10.77.0.9 */
            readonly ip: string | null;
            /** @description Its place on a bridge of the operator’s. Null unless the mode is `bridge`. */
            readonly lan: {
                /** @example br0 */
                readonly bridge: string;
                /** @description Null: its address comes by DHCP. */
                readonly fixed: {
                    /** @example 192.168.1.50 */
                    readonly address: string;
                    /** @example 24 */
                    readonly prefix: number;
                    /** @example 192.168.1.1 */
                    readonly gateway: string | null;
                    readonly resolvers: readonly string[];
                } | null;
                /** @description What the guest says that a DHCP server has given it: its own word, which nobody has checked. Null while it has said nothing. */
                readonly reported: {
                    /** @example 192.168.1.50 */
                    readonly address: string;
                    /** @example 24 */
                    readonly prefix: number;
                    /** @example 192.168.1.1 */
                    readonly gateway: string | null;
                    readonly resolvers: readonly string[];
                    /** @example 2026-11-29T10:00:00.000Z */
                    readonly reported_at: string;
                    /** @example 2026-11-29T22:00:00.000Z */
                    readonly lease_ends_at: string;
                } | null;
            } | null;
            /** @example null */
            readonly ipv6: string | null;
            /** @example 02:66:0a:4d:00:09 */
            readonly mac: string | null;
            /** @example 10.77.0.1 */
            readonly gateway: string | null;
            /** @example null */
            readonly group: string | null;
            readonly egress: ("allow" | "deny") | {
                readonly allow: readonly {
                    readonly to: string;
                    /** @enum {string} */
                    readonly protocol: "tcp" | "udp" | "any";
                    readonly ports: readonly (number | components["schemas"]["PortRange"])[] | null;
                }[];
            };
            readonly bandwidth: {
                readonly egress_bits: number | null;
                readonly ingress_bits: number | null;
            };
            readonly ports: readonly components["schemas"]["PublishedPort"][];
        };
        /** @description Inclusive. */
        readonly PortRange: {
            readonly first: number;
            readonly last: number;
        };
        readonly PublishedPort: {
            /**
             * @example tcp
             * @enum {string}
             */
            readonly protocol: "tcp" | "udp";
            /** @example 127.0.0.1 */
            readonly bind: string;
            /** @example 8080 */
            readonly host_port: number;
            /** @example 80 */
            readonly guest_port: number;
        };
        /**
         * @description When the machine restarts by itself. `no`: never. `on-failure`: when it fails. `always`: also when its guest powers off. Delays grow from 1 second to 5 minutes; after 10 restarts in a row it stays as it is.
         * @enum {string}
         */
        readonly RestartPolicy: "no" | "on-failure" | "always";
        /**
         * @description `unless_paused`: the lifetime stands still while the machine is paused or suspended. `always`: it counts down then as well. It always counts while the machine is stopped.
         * @enum {string}
         */
        readonly LifetimeCounts: "unless_paused" | "always";
        /** @description What happens to a running machine that nobody uses. `auto_wake` says whether requests wake it again. */
        readonly IdlePolicy: {
            /**
             * @description Seconds without requests, commands, terminals, file transfers and connections.
             * @example 600
             */
            readonly after_seconds: number;
            /**
             * @description `pause` keeps its memory; `suspend` saves it on the disk and frees it; `stop` gives it up.
             * @example pause
             * @enum {string}
             */
            readonly action: "pause" | "suspend" | "stop";
        } | null;
        readonly Error: {
            readonly error: {
                /**
                 * @description For programs.
                 * @example NOT_FOUND
                 */
                readonly code: string;
                /**
                 * @description For people.
                 * @example Machine with id 'abc123' not found
                 */
                readonly message: string;
                /** @description The id in the daemon’s log. */
                readonly request_id?: string;
                /** @description Whether the same request may succeed later without further effects. */
                readonly retryable?: boolean;
                /** @description What to do next. */
                readonly hint?: string;
                /** @description Further facts for programs, such as the output of a command that was killed at its timeout. */
                readonly details?: {
                    readonly [key: string]: unknown;
                };
            };
        };
        readonly CreateMachine: {
            /**
             * @description Unique among your machines, and the guest’s host name. At most 128 letters, digits, `.`, `_` and `-`. Must not look like an id: 12 lower-case letters and digits, also after `vm-` or `vm_`.
             * @example web-server
             */
            readonly name: string;
            /**
             * @description Number of vCPUs, at most the host’s CPUs. Required without a template or a source, whose number it is by default.
             * @example 1
             */
            readonly vcpu_count?: number;
            /**
             * @description Memory in MiB, at least the image’s `min_memory_mib`. Required without a template or a source, whose size it is by default.
             * @example 256
             */
            readonly mem_size_mib?: number;
            /**
             * @description Id or name of a template, which provides the fields that this request omits.
             * @example web
             */
            readonly template?: string;
            /** @description What its disk is made from, instead of an image; and its memory, if the snapshot has that: then it starts where the snapshot was taken, with the same vCPUs, memory and disk size. Without memory the disk may be larger. */
            readonly source?: {
                /** @enum {string} */
                readonly kind: "snapshot";
                /**
                 * @description Id or name of the snapshot.
                 * @example before-upgrade
                 */
                readonly snapshot: string;
            };
            /**
             * @description TCP ports of the guest that the reverse proxy may reach, at most 256. For a port of the host use `network.ports`.
             * @example [
             *       8080
             *     ]
             */
            readonly exposed_ports?: readonly number[];
            /**
             * @description Image name, or a registry-style reference: `debian:12` means `debian-12`. Images are not pulled; common references such as `alpine:latest` are mapped to the nearest image, and `image_note` says so. Default, also for null: `debian-12`.
             * @example busybox
             */
            readonly image?: string | null;
            /**
             * @description Size of the root disk in MiB, at least the image’s `size_mib`. Default: 10240, or the image’s size if larger.
             * @example 1024
             */
            readonly disk_size_mib?: number;
            /**
             * @description Engine that runs the machine. Default: the host’s engine.
             * @example qemu
             */
            readonly engine?: string;
            /**
             * @description How the machine starts. `cold`: its kernel boots. `auto`: the daemon chooses the fastest way that it has; today that is to boot the kernel as well. Default: `auto`.
             * @example auto
             * @enum {string}
             */
            readonly boot?: "auto" | "cold";
            /**
             * @description Your own keys and values, by which lists can be filtered. At most 64 labels and 16 KiB of JSON.
             * @example {
             *       "team": "web"
             *     }
             */
            readonly labels?: {
                readonly [key: string]: string;
            };
            /**
             * @description Environment variables of every command run in the machine. At most 64 variables and 16 KiB of JSON.
             * @example {
             *       "LANG": "C.UTF-8"
             *     }
             */
            readonly env?: {
                readonly [key: string]: string;
            };
            readonly restart?: components["schemas"]["RestartPolicy"];
            /**
             * @description Whether a request through the reverse proxy, or an SSH login, starts or resumes the machine when it is stopped or paused.
             * @example true
             */
            readonly auto_wake?: boolean;
            /** @description What happens to it when nobody uses it for a while. Default, also for null: nothing. */
            readonly idle?: {
                /**
                 * @description Seconds without requests, commands, terminals, file transfers and connections.
                 * @example 600
                 */
                readonly after_seconds: number;
                /**
                 * @description `pause` keeps its memory; `suspend` saves it on the disk and frees it; `stop` gives it up.
                 * @example pause
                 * @enum {string}
                 */
                readonly action: "pause" | "suspend" | "stop";
            } | null;
            /**
             * @description Seconds from now until `on_expire` happens to the machine, whoever uses it or does not. At most ten years.
             * @example 3600
             */
            readonly lifetime_seconds?: number;
            readonly on_expire?: components["schemas"]["ExpiryAction"];
            readonly lifetime_counts?: components["schemas"]["LifetimeCounts"];
            /**
             * @description What its guest does once, after its first start: a part of cloud-init’s `#cloud-config`, or a script that begins with `#!`. At most 64 KiB. After a template’s own.
             * @example #cloud-config
             *     runcmd:
             *       - echo hello > /root/hello
             */
            readonly user_data?: string;
            /**
             * @description Public keys, such as the content of `id_ed25519.pub`, that enter this machine alone through the SSH gateway. At most 64 keys and 32 KiB. Root’s keys in `user_data` are added. Root’s `authorized_keys` in the guest has them, too, as lines with the mark `managed-by-flotilla`.
             * @example [
             *       "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt me@laptop"
             *     ]
             */
            readonly ssh_keys?: readonly string[];
            /**
             * @description Port of the host at which SSH clients enter this machine alone, with a user of the guest as login name. 0: a free one; otherwise one of FLOTILLA_SSH_PORTS. Default, also for null: none.
             * @example 0
             */
            readonly ssh_port?: number | null;
            /**
             * @description Hyperfleet’s name for `disk_size_mib`, in MiB. `disk_size_mib` takes precedence.
             * @example 1024
             */
            readonly image_size_mib?: number;
            /**
             * @description Accepted for compatibility and ignored. The operator sets it for the whole host; the machine shows the value in use.
             * @example null
             */
            readonly kernel_image_path?: string | null;
            /**
             * @description Accepted for compatibility and ignored. The operator sets it for the whole host; the machine shows the value in use.
             * @example null
             */
            readonly kernel_args?: string | null;
            /**
             * @description Accepted for compatibility and ignored. The operator sets it for the whole host; the machine shows the value in use.
             * @example null
             */
            readonly rootfs_path?: string | null;
            readonly network?: components["schemas"]["MachineNetworkRequest"];
            /** @description Refused: images are not pulled from registries yet. */
            readonly registry_auth?: {
                readonly [key: string]: unknown;
            };
        };
        /** @description Its place in the network. Default: mode `nat`, with a free address and no limits. */
        readonly MachineNetworkRequest: {
            /**
             * @description `nat`: an address of the guests’ network, with a way out. `bridge`: a place on a bridge of the operator’s, with an address of that network. `none`: no network. Changes only while the machine is stopped.
             * @example nat
             * @enum {string}
             */
            readonly mode?: "nat" | "bridge" | "none";
            /**
             * @description With the mode `bridge`: a bridge that the operator has named. Null or absent: the first one. Changes only while the machine is stopped.
             * @example br0
             */
            readonly bridge?: string | null;
            /**
             * @description With the mode `bridge` and an address. Null or absent: none. Changes only while the machine is stopped.
             * @example 192.168.1.1
             */
            readonly gateway?: string | null;
            /**
             * @description With the mode `bridge` and an address: its name servers. Changes only while the machine is stopped.
             * @example [
             *       "192.168.1.1"
             *     ]
             */
            readonly resolvers?: readonly string[];
            /**
             * @description Your machines of the same group reach each other. Null: it reaches no other machine.
             * @example backend
             */
            readonly group?: string | null;
            /**
             * @description A certain IPv4 address of the guests’ network; with the mode `bridge`, one with the length of the prefix, such as `192.168.1.50/24`. Null or absent: a free one, or one of the DHCP server. Changes only while the machine is stopped.
             * @example 10.77.0.9
             */
            readonly address?: string | null;
            readonly egress?: components["schemas"]["EgressPolicy"];
            readonly bandwidth?: components["schemas"]["Bandwidth"];
            /** @description Ports of the host that lead to the guest. */
            readonly ports?: readonly components["schemas"]["PublishPort"][];
            /**
             * @description Hyperfleet’s name: false is the mode `none`.
             * @example true
             */
            readonly enable?: boolean;
            /** @description Hyperfleet’s name of `address`. */
            readonly guest_ip?: string;
            /** @description Refused: the host names its devices. */
            readonly tap_device?: string;
            /** @description Refused: the host gives its own addresses. */
            readonly tap_ip?: string;
            /** @description Refused: it follows from the address. */
            readonly guest_mac?: string;
        };
        /**
         * @description What the guest may send to the world. `deny`: nothing. Answers to connections from outside always pass.
         * @example {
         *       "allow": [
         *         {
         *           "to": "example.com",
         *           "ports": [
         *             443
         *           ]
         *         }
         *       ]
         *     }
         */
        readonly EgressPolicy: ("allow" | "deny") | {
            readonly allow: readonly components["schemas"]["EgressRule"][];
        };
        readonly EgressRule: {
            /**
             * @description An address, a network, or a domain name; `*.example.com` is every name below.
             * @example example.com
             */
            readonly to: string;
            /**
             * @description Default: `tcp` with ports, otherwise `any`.
             * @example tcp
             * @enum {string}
             */
            readonly protocol?: "tcp" | "udp" | "any";
            /**
             * @description Ports, and ranges of them. Null or absent: every port.
             * @example [
             *       443
             *     ]
             */
            readonly ports?: readonly (number | components["schemas"]["PortRange"])[] | null;
        };
        readonly Bandwidth: {
            /**
             * @description Sent by the guest, per second. Null: unlimited.
             * @example 10000000
             */
            readonly egress_bits?: number | null;
            /**
             * @description Received by it, per second. Null: unlimited.
             * @example null
             */
            readonly ingress_bits?: number | null;
        };
        readonly PublishPort: {
            /**
             * @description Port of the guest.
             * @example 80
             */
            readonly guest_port: number;
            /**
             * @description Port of the host. Null or absent: a free one of the host’s range.
             * @example 8080
             */
            readonly host_port?: number | null;
            /**
             * @description Default: `tcp`.
             * @example tcp
             * @enum {string}
             */
            readonly protocol?: "tcp" | "udp";
            /**
             * @description Address of the host: `0.0.0.0` is every one. Default: `127.0.0.1`, the host alone.
             * @example 127.0.0.1
             */
            readonly bind?: string;
        };
        readonly MachineList: {
            /** @description Machines on this page. */
            readonly machines: readonly components["schemas"]["MachineSummary"][];
            /**
             * @description Number of matching machines on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly MachineSummary: {
            /**
             * @description Identifier: 12 lower-case letters and digits.
             * @example k3v9x2m1q8zt
             */
            readonly id: string;
            /**
             * @description Unique among your machines.
             * @example web-server
             */
            readonly name: string;
            readonly status: components["schemas"]["MachineStatus"];
            /**
             * @description Number of vCPUs.
             * @example 1
             */
            readonly vcpu_count: number;
            /**
             * @description Memory in MiB.
             * @example 256
             */
            readonly mem_size_mib: number;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * @description Name of the image.
             * @example busybox
             */
            readonly image: string;
            /**
             * @description Your labels.
             * @example {
             *       "team": "web"
             *     }
             */
            readonly labels: {
                readonly [key: string]: string;
            };
            /**
             * Format: date-time
             * @description Time (UTC) at which its lifetime ends and `on_expire` happens; null without a lifetime, and while that stands still or has ended.
             * @example null
             */
            readonly expires_at: string | null;
            readonly on_expire: components["schemas"]["ExpiryAction"];
        };
        /**
         * @description Order of a list of machines; `-` means descending.
         * @enum {string}
         */
        readonly MachineSort: "created_at" | "-created_at" | "updated_at" | "-updated_at" | "name" | "-name" | "mem_size_mib" | "-mem_size_mib";
        readonly UpdateMachine: {
            /**
             * @description Unique among your machines, and the guest’s host name. At most 128 letters, digits, `.`, `_` and `-`. Must not look like an id: 12 lower-case letters and digits, also after `vm-` or `vm_`.
             * @example web-server
             */
            readonly name?: string;
            /**
             * @description Labels to set; null removes a label. Other labels stay.
             * @example {
             *       "team": "web",
             *       "old": null
             *     }
             */
            readonly labels?: {
                readonly [key: string]: string | null;
            };
            /**
             * @description Environment variables to set; null removes a variable. Other variables stay. Also needs the scope `machines:exec`.
             * @example {
             *       "LANG": "C.UTF-8"
             *     }
             */
            readonly env?: {
                readonly [key: string]: string | null;
            };
            /**
             * @description All TCP ports of the guest that the reverse proxy may reach from now on, also while it runs. Requests under way go on.
             * @example [
             *       8080
             *     ]
             */
            readonly exposed_ports?: readonly number[];
            /**
             * @description TCP ports to expose beside those that are, at that moment; of simultaneous changes none is lost.
             * @example [
             *       8080
             *     ]
             */
            readonly exposed_ports_add?: readonly number[];
            /**
             * @description TCP ports that are not to be exposed any more; the others stay.
             * @example [
             *       80
             *     ]
             */
            readonly exposed_ports_remove?: readonly number[];
            readonly restart?: components["schemas"]["RestartPolicy"];
            /**
             * @description Whether a request through the reverse proxy, or an SSH login, starts or resumes the machine when it is stopped or paused.
             * @example true
             */
            readonly auto_wake?: boolean;
            /** @description What happens to it when nobody uses it for a while; null: nothing. Counts from now. */
            readonly idle?: {
                /**
                 * @description Seconds without requests, commands, terminals, file transfers and connections.
                 * @example 600
                 */
                readonly after_seconds: number;
                /**
                 * @description `pause` keeps its memory; `suspend` saves it on the disk and frees it; `stop` gives it up.
                 * @example pause
                 * @enum {string}
                 */
                readonly action: "pause" | "suspend" | "stop";
            } | null;
            /**
             * @description Seconds from now in which `idle` does not act, whoever uses the machine or does not; null ends that.
             * @example 7200
             */
            readonly hold_seconds?: number | null;
            /**
             * @description Seconds from now until `on_expire` happens, or from when the machine goes on if its lifetime stands still; null removes the lifetime.
             * @example 3600
             */
            readonly lifetime_seconds?: number | null;
            readonly on_expire?: components["schemas"]["ExpiryAction"];
            readonly lifetime_counts?: components["schemas"]["LifetimeCounts"];
            /**
             * @description Number of vCPUs. Can change only while the machine is stopped.
             * @example 2
             */
            readonly vcpu_count?: number;
            /**
             * @description Memory in MiB. Can change only while the machine is stopped.
             * @example 512
             */
            readonly mem_size_mib?: number;
            /**
             * @description Size of the root disk in MiB. It can only grow. Can change only while the machine is stopped.
             * @example 2048
             */
            readonly disk_size_mib?: number;
            /**
             * @description All public keys that enter this machine alone through the SSH gateway. Connections made with a key that is gone end. Root’s `authorized_keys` in the guest follows, at once while it runs and otherwise at its next start; lines without our mark stay. Also needs the scope `machines:exec`.
             * @example [
             *       "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt me@laptop"
             *     ]
             */
            readonly ssh_keys?: readonly string[];
            /**
             * @description Port of the host at which SSH clients enter this machine alone. 0: the one that it has, or a free one; null: none.
             * @example 0
             */
            readonly ssh_port?: number | null;
            readonly network?: components["schemas"]["NetworkChange"];
        };
        /** @description Policy, group and bandwidth change at once, also while the machine runs. */
        readonly NetworkChange: {
            /**
             * @description `nat`: an address of the guests’ network, with a way out. `bridge`: a place on a bridge of the operator’s, with an address of that network. `none`: no network. Changes only while the machine is stopped.
             * @example nat
             * @enum {string}
             */
            readonly mode?: "nat" | "bridge" | "none";
            /**
             * @description With the mode `bridge`: a bridge that the operator has named. Null or absent: the first one. Changes only while the machine is stopped.
             * @example br0
             */
            readonly bridge?: string | null;
            /**
             * @description With the mode `bridge` and an address. Null or absent: none. Changes only while the machine is stopped.
             * @example 192.168.1.1
             */
            readonly gateway?: string | null;
            /**
             * @description With the mode `bridge` and an address: its name servers. Changes only while the machine is stopped.
             * @example [
             *       "192.168.1.1"
             *     ]
             */
            readonly resolvers?: readonly string[];
            /**
             * @description Your machines of the same group reach each other. Null: it reaches no other machine.
             * @example backend
             */
            readonly group?: string | null;
            /**
             * @description A certain IPv4 address of the guests’ network; with the mode `bridge`, one with the length of the prefix, such as `192.168.1.50/24`. Null or absent: a free one, or one of the DHCP server. Changes only while the machine is stopped.
             * @example 10.77.0.9
             */
            readonly address?: string | null;
            readonly egress?: components["schemas"]["EgressPolicy"];
            readonly bandwidth?: components["schemas"]["Bandwidth"];
        };
        readonly MachineMetrics: {
            /** @example k3v9x2m1q8zt */
            readonly machine_id: string;
            readonly status: components["schemas"]["MachineStatus"];
            /**
             * Format: date-time
             * @example 2026-07-01T12:00:00.000Z
             */
            readonly measured_at: string;
            /**
             * @description Since its latest start; 0 while it does not run.
             * @example 42.5
             */
            readonly uptime_seconds: number;
            readonly cpu: {
                /** @example 1 */
                readonly vcpu_count: number;
                /**
                 * @description Processor time of the host since its latest start. The difference of two answers, divided by the time between them, is the usage. Null: not measured.
                 * @example 1500
                 */
                readonly time_ms: number | null;
            };
            readonly memory: {
                /**
                 * @description What the machine may use.
                 * @example 536870912
                 */
                readonly size_bytes: number;
                /**
                 * @description Memory of the host that it occupies, with the VMM’s own. Null: not measured.
                 * @example 134217728
                 */
                readonly host_used_bytes: number | null;
                /** @description What the guest’s kernel says. Null: it did not answer, for example because the machine is paused. */
                readonly guest: {
                    /**
                     * @description Without the kernel’s own code and tables. Null: not measured.
                     * @example 503316480
                     */
                    readonly total_bytes: number | null;
                    /**
                     * @description Not used for anything. Null: not measured.
                     * @example 402653184
                     */
                    readonly free_bytes: number | null;
                    /**
                     * @description What programs could get without swapping. Null: not measured.
                     * @example 450000000
                     */
                    readonly available_bytes: number | null;
                    /**
                     * @description Contents of files. Null: not measured.
                     * @example 25165824
                     */
                    readonly cache_bytes: number | null;
                    /**
                     * @description Pages read from a disk since the guest’s boot. Null: not measured.
                     * @example 211
                     */
                    readonly major_faults: number | null;
                } | null;
            };
            readonly disk: {
                /**
                 * @description Of its root disk.
                 * @example 10737418240
                 */
                readonly size_bytes: number;
                /**
                 * @description Read from its disks since its latest start. Null: not measured.
                 * @example 4096
                 */
                readonly read_bytes: number | null;
                /**
                 * @description Written to its disks since its latest start. Null: not measured.
                 * @example 4096
                 */
                readonly write_bytes: number | null;
                /**
                 * @description Requests that read, since its latest start. Null: not measured.
                 * @example 1
                 */
                readonly reads: number | null;
                /**
                 * @description Requests that wrote, since its latest start. Null: not measured.
                 * @example 1
                 */
                readonly writes: number | null;
            };
            readonly network: {
                /**
                 * @description Received by its network. Null: not measured.
                 * @example 0
                 */
                readonly rx_bytes: number | null;
                /**
                 * @description Sent by its network. Null: not measured.
                 * @example 0
                 */
                readonly tx_bytes: number | null;
                /**
                 * @description Received by its network. Null: not measured.
                 * @example 0
                 */
                readonly rx_packets: number | null;
                /**
                 * @description Sent by its network. Null: not measured.
                 * @example 0
                 */
                readonly tx_packets: number | null;
            };
        };
        readonly ExecResult: {
            /**
             * @description Exit code; 128 + the signal’s number if a signal ended the command.
             * @example 0
             */
            readonly exit_code: number;
            /**
             * @description Standard output: its first 8 MiB.
             * @example 6.1.0-37-amd64
             */
            readonly stdout: string;
            /**
             * @description Standard error: its first 8 MiB.
             * @example
             */
            readonly stderr: string;
            /**
             * @description How the command ended.
             * @example exited
             * @enum {string}
             */
            readonly outcome: "exited" | "signalled";
            /**
             * @description Name of the signal that ended the command, without `SIG`; null if it exited.
             * @example null
             */
            readonly signal: string | null;
            /**
             * @description Whether standard output is incomplete, because it exceeded 8 MiB (1 MiB in errors).
             * @example false
             */
            readonly stdout_truncated: boolean;
            /**
             * @description The same for standard error.
             * @example false
             */
            readonly stderr_truncated: boolean;
            /**
             * @description How many bytes the command wrote to standard output, also of what is not shown.
             * @example 15
             */
            readonly stdout_bytes: number;
            /**
             * @description The same for standard error.
             * @example 0
             */
            readonly stderr_bytes: number;
        };
        readonly ExecEvent: {
            /**
             * @description The first event: names the command, which can be attached to again. Absent if the program cannot be run, or the guest agent is too old.
             * @enum {string}
             */
            readonly type: "started";
            /**
             * @description Identifier of the command.
             * @example p4x0c7k2m9ab
             */
            readonly id: string;
            /**
             * @description Identifier of its machine.
             * @example k3v9x2m1q8zt
             */
            readonly machine_id: string;
            /**
             * @description Process id in the guest.
             * @example 312
             */
            readonly pid: number;
        } | {
            /**
             * @description Output of the command.
             * @enum {string}
             */
            readonly type: "stdout";
            /** @description Position of the first byte in this stream, from 0. */
            readonly offset: number;
            /** @description The bytes as base64. */
            readonly data: string;
            /** @description Where the output goes on after this event, in bytes of both streams: the `from` to continue with. */
            readonly cursor: number;
        } | {
            /**
             * @description Output of the command.
             * @enum {string}
             */
            readonly type: "stderr";
            /** @description Position of the first byte in this stream, from 0. */
            readonly offset: number;
            /** @description The bytes as base64. */
            readonly data: string;
            /** @description Where the output goes on after this event, in bytes of both streams: the `from` to continue with. */
            readonly cursor: number;
        } | {
            /**
             * @description Sent every 10 s while there is no output.
             * @enum {string}
             */
            readonly type: "heartbeat";
        } | {
            /**
             * @description The last event.
             * @enum {string}
             */
            readonly type: "outcome";
            /**
             * @description `unknown`: the guest was lost before it reported how the command ended.
             * @enum {string}
             */
            readonly outcome: "exited" | "signalled" | "timed_out" | "unknown";
            /**
             * @description Exit code; 128 + the signal’s number if a signal ended the command; null if unknown.
             * @example 0
             */
            readonly exit_code: number | null;
            /**
             * @description Name of the signal that ended the command, without `SIG`; null otherwise.
             * @example null
             */
            readonly signal: string | null;
            /**
             * @description Why the outcome is unknown; null otherwise.
             * @example null
             */
            readonly reason: string | null;
        };
        readonly ExecStarted: {
            /**
             * @description Identifier of the command.
             * @example p4x0c7k2m9ab
             */
            readonly id: string;
            /**
             * @description Identifier of its machine.
             * @example k3v9x2m1q8zt
             */
            readonly machine_id: string;
            /**
             * @description Process id in the guest.
             * @example 312
             */
            readonly pid: number;
        };
        readonly Exec: {
            /**
             * @description Program and its arguments, run without a shell. Each may have 131,071 bytes. Arguments and environment together are limited by the guest’s kernel, usually to 2 MiB. The older name `cmd` is also accepted.
             * @example [
             *       "uname",
             *       "-r"
             *     ]
             */
            readonly command: readonly string[];
            /**
             * @description Seconds after which the command is killed. Default: 30; none with `detach`. Values above 86400 (one day) count as 86400.
             * @example 10
             */
            readonly timeout?: number;
            /**
             * @description Environment variables of this command. They override the machine’s `env`.
             * @example {
             *       "LANG": "C.UTF-8"
             *     }
             */
            readonly env?: {
                readonly [key: string]: string;
            };
            /**
             * @description Working directory in the guest. Default: the user’s home.
             * @example /
             */
            readonly cwd?: string;
            /**
             * @description User in the guest, by name or number. `USER:GROUP` runs with that group only. Default: root.
             * @example root
             */
            readonly user?: string;
            /**
             * @description Standard input as base64, at most 8 MiB of bytes.
             * @example aGVsbG8K
             */
            readonly stdin?: string;
            /**
             * @description How a buffered answer shows the output. `utf8` (the default): bytes that are not UTF-8 are replaced by U+FFFD. `base64`: all bytes.
             * @example utf8
             * @enum {string}
             */
            readonly encoding?: "utf8" | "base64";
            /**
             * @description Answer with the id as soon as the command has started and has taken its `stdin`. It then outlives the request; see `GET /machines/{id}/execs`.
             * @example false
             */
            readonly detach?: boolean;
            /**
             * @description Keep standard input open after `stdin`, for `POST /machines/{id}/execs/{eid}/stdin`. Only with `detach` or a streamed answer.
             * @example false
             */
            readonly stdin_open?: boolean;
            /** @description Run the command in a terminal of this size, whose output is all stdout. Only with `detach` or a streamed answer. */
            readonly tty?: {
                /**
                 * @description Height in characters.
                 * @default 24
                 */
                readonly rows?: number;
                /**
                 * @description Width in characters.
                 * @default 80
                 */
                readonly columns?: number;
            };
        };
        readonly MachineExecList: {
            /** @description Oldest first; at most 64. */
            readonly execs: readonly components["schemas"]["MachineExec"][];
        };
        readonly MachineExec: {
            /**
             * @description Identifier of the command.
             * @example p4x0c7k2m9ab
             */
            readonly id: string;
            /**
             * @description Identifier of its machine.
             * @example k3v9x2m1q8zt
             */
            readonly machine_id: string;
            /**
             * @description Process id in the guest.
             * @example 312
             */
            readonly pid: number;
            /**
             * @description Whether it has ended.
             * @example ended
             * @enum {string}
             */
            readonly state: "running" | "ended";
            /**
             * @description Its program and first arguments, at most 256 bytes.
             * @example [
             *       "make",
             *       "all"
             *     ]
             */
            readonly command: readonly string[];
            /**
             * @description Whether it has more arguments.
             * @example false
             */
            readonly command_truncated: boolean;
            /**
             * @description Whether it runs in a terminal; null if the guest agent is too old to tell.
             * @example false
             */
            readonly tty: boolean | null;
            /**
             * Format: date-time
             * @description Time (UTC) of its start, by the guest’s clock.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly started_at: string;
            /**
             * Format: date-time
             * @description Time (UTC) of its end; null while it runs, or if the guest agent is too old to tell.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly ended_at: string | null;
            /**
             * @description How it ended; null while it runs. `unknown`: the guest was lost before it reported how the command ended.
             * @example exited
             * @enum {string|null}
             */
            readonly outcome: "exited" | "signalled" | "timed_out" | "unknown" | null;
            /**
             * @description Exit code; 128 + the signal’s number if a signal ended the command; null if unknown.
             * @example 0
             */
            readonly exit_code: number | null;
            /**
             * @description Name of the signal that ended the command, without `SIG`; null otherwise.
             * @example null
             */
            readonly signal: string | null;
            /**
             * @description Why the outcome is unknown; null otherwise.
             * @example null
             */
            readonly reason: string | null;
            /**
             * @description Bytes written to standard output. Null if the guest agent is too old to tell.
             * @example 15
             */
            readonly stdout_bytes: number | null;
            /**
             * @description Bytes written to standard error. Null if the guest agent is too old to tell.
             * @example 15
             */
            readonly stderr_bytes: number | null;
            /**
             * @description The first byte of output that is kept, counted over both streams.
             * @example 0
             */
            readonly first_cursor: number;
            /**
             * @description The end of the output so far.
             * @example 15
             */
            readonly next_cursor: number;
        };
        readonly ExecOutputEvent: {
            /**
             * @description Output of the command.
             * @enum {string}
             */
            readonly type: "stdout";
            /** @description Position of the first byte in this stream; null if the guest agent is too old to tell. */
            readonly offset: number | null;
            /** @description The bytes as base64. */
            readonly data: string;
            /** @description Where the output goes on after this event, in bytes of both streams: the `from` to continue with. */
            readonly cursor: number;
        } | {
            /**
             * @description Output of the command.
             * @enum {string}
             */
            readonly type: "stderr";
            /** @description Position of the first byte in this stream; null if the guest agent is too old to tell. */
            readonly offset: number | null;
            /** @description The bytes as base64. */
            readonly data: string;
            /** @description Where the output goes on after this event, in bytes of both streams: the `from` to continue with. */
            readonly cursor: number;
        } | {
            /**
             * @description Sent every 10 s while there is no output.
             * @enum {string}
             */
            readonly type: "heartbeat";
        } | {
            /**
             * @description The last event without `follow` while the command runs on.
             * @enum {string}
             */
            readonly type: "caught_up";
            /** @description Where the output goes on after this event, in bytes of both streams: the `from` to continue with. */
            readonly cursor: number;
        } | {
            /**
             * @description The last event.
             * @enum {string}
             */
            readonly type: "outcome";
            /**
             * @description `unknown`: the guest was lost before it reported how the command ended.
             * @enum {string}
             */
            readonly outcome: "exited" | "signalled" | "timed_out" | "unknown";
            /**
             * @description Exit code; 128 + the signal’s number if a signal ended the command; null if unknown.
             * @example 0
             */
            readonly exit_code: number | null;
            /**
             * @description Name of the signal that ended the command, without `SIG`; null otherwise.
             * @example null
             */
            readonly signal: string | null;
            /**
             * @description Why the outcome is unknown; null otherwise.
             * @example null
             */
            readonly reason: string | null;
        };
        readonly FileWritten: {
            /** @enum {boolean} */
            readonly success: true;
            readonly bytes_written: number;
        };
        readonly FileContent: {
            /**
             * Format: byte
             * @description In base64.
             * @example aGVsbG8K
             */
            readonly content: string;
            readonly size: number;
        };
        readonly FileStat: components["schemas"]["File"] & {
            readonly path: string;
            /**
             * Format: date-time
             * @description Hyperfleet’s name of `modified_at`.
             */
            readonly mod_time: string;
            readonly is_dir: boolean;
        };
        readonly File: {
            /** @example hostname */
            readonly name: string;
            /** @description All bytes of a name that is not UTF-8; `name` has replacements for some. */
            readonly name_base64: string | null;
            /** @enum {string} */
            readonly type: "file" | "directory" | "symlink" | "fifo" | "socket" | "char_device" | "block_device";
            /**
             * @description Bytes.
             * @example 12
             */
            readonly size: number;
            /**
             * @description Permissions in octal digits.
             * @example 0644
             */
            readonly mode: string;
            readonly uid: number;
            readonly gid: number;
            /** @description The name of its user in the guest. */
            readonly owner: string | null;
            /** @description The name of its group in the guest. */
            readonly group: string | null;
            /** Format: date-time */
            readonly modified_at: string;
            /** @description Another one after each change; the ETag of the content. */
            readonly version: string;
            /** @description What a symbolic link points to. */
            readonly target: string | null;
        };
        readonly FileList: {
            readonly path: string;
            readonly entries: readonly components["schemas"]["File"][];
            /** @description The `after` of the next page; null on the last one. */
            readonly next: string | null;
        };
        readonly ArchiveUnpacked: {
            /** @description Files, links and directories. */
            readonly count: number;
        };
        readonly FileChange: {
            /** @enum {string} */
            readonly type: "created" | "modified" | "attributes" | "deleted" | "moved_from" | "moved_to" | "overflow";
            readonly path: string | null;
            readonly is_directory: boolean;
            /** @description The same for both ends of one move; else 0. */
            readonly cookie: number;
        };
        readonly SshCertificate: {
            /**
             * @description For a file beside the private key whose name ends in `-cert.pub`.
             * @example ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t
             */
            readonly certificate: string;
            /** @example 4611686018427387904 */
            readonly serial: string;
            /**
             * @description The login name.
             * @example k3v9x2m1q8zt
             */
            readonly user: string;
            /**
             * @description The gateway’s TCP port, on the host of this API.
             * @example 2222
             */
            readonly port: number;
            /**
             * @description The gateway’s host key, for `known_hosts`.
             * @example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt
             */
            readonly host_key: string;
            /**
             * @description The authority’s key. An sshd in the guest that trusts it accepts the certificate, too.
             * @example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt
             */
            readonly ca_public_key: string;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly expires_at: string;
        };
        readonly CreateSshCertificate: {
            /**
             * @description The content of a file such as `id_ed25519.pub`; its private half stays with you.
             * @example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt
             */
            readonly public_key: string;
            /**
             * @description How long it is valid. The connections made with it end then, too.
             * @default 300
             * @example 300
             */
            readonly ttl_seconds?: number;
        };
        readonly PublishedPorts: {
            readonly ports: readonly components["schemas"]["PublishedPort"][];
        };
        readonly PortPublished: {
            readonly port: components["schemas"]["PublishedPort"];
            /**
             * @description False: it is recorded, and the host will carry it out as soon as it can.
             * @example true
             */
            readonly in_force: boolean;
        };
        readonly DeniedEgress: {
            readonly denied: readonly {
                /** @example tcp */
                readonly protocol: string;
                /** @example 192.0.2.7 */
                readonly address: string;
                /** @example 443 */
                readonly port: number | null;
                /**
                 * @description The name that the guest asked for, when its resolver refused it.
                 * @example null
                 */
                readonly domain: string | null;
                /** @example 3 */
                readonly packets: number;
                /** @example 2026-11-29T10:00:00.000Z */
                readonly last_at: string;
            }[];
        };
        readonly Route: {
            /** @example r7k2m9x4c1qa */
            readonly id: string;
            /** @example abc123def456 */
            readonly machine_id: string;
            /** @example shop */
            readonly subdomain: string;
            /** @example 8080 */
            readonly target_port: number;
            readonly auto_wake: boolean;
            /** @enum {string} */
            readonly access: "public" | "private";
            /**
             * @description Its address at the reverse proxy; null when this server has no domain (`PROXY_HOST_SUFFIX`).
             * @example https://shop.flotilla.example
             */
            readonly url: string | null;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly updated_at: string;
        };
        readonly CreateMachineRoute: {
            /**
             * @description Lower-case letters, digits and hyphens; unique on this server. Absent or empty: 12 hexadecimal digits.
             * @example shop
             */
            readonly subdomain?: string;
            /**
             * @description Port of the guest.
             * @example 8080
             */
            readonly target_port: number;
            /** @description Whether a request starts or resumes the machine. Default: true. */
            readonly auto_wake?: boolean;
            /**
             * @description `private`: requests need a token of `POST /api/v1/routes/{id}/tokens`. Default: public.
             * @enum {string}
             */
            readonly access?: "public" | "private";
        };
        readonly RouteList: {
            readonly routes: readonly components["schemas"]["Route"][];
            /**
             * @description On all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly Snapshot: {
            /** @example s7k2m9x4c1qa */
            readonly id: string;
            /** @example before-upgrade */
            readonly name: string;
            readonly status: components["schemas"]["SnapshotStatus"];
            /**
             * @description The machine it was taken of, which may be gone.
             * @example k3v9x2m1q8zt
             */
            readonly machine_id: string;
            /**
             * @description That machine’s name at that time.
             * @example web
             */
            readonly machine_name: string;
            /**
             * @description The snapshot that the machine was made from, or last set back to, which may be gone; null if there is none.
             * @example null
             */
            readonly parent_id: string | null;
            /**
             * @description Whether it has the memory. Without, its machines boot from its disk.
             * @example true
             */
            readonly has_memory: boolean;
            /**
             * @description Number of vCPUs.
             * @example 1
             */
            readonly vcpu_count: number;
            /**
             * @description Memory in MiB.
             * @example 256
             */
            readonly mem_size_mib: number;
            /**
             * @description Size of the root disk in MiB.
             * @example 1024
             */
            readonly disk_size_mib: number;
            /**
             * @description Name of the image below its disk.
             * @example busybox
             */
            readonly image: string;
            /**
             * @description Your labels.
             * @example {
             *       "reason": "upgrade"
             *     }
             */
            readonly labels: {
                readonly [key: string]: string;
            };
            /**
             * @description What its files take on the host; null while it is made.
             * @example 73400320
             */
            readonly size_bytes: number | null;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly updated_at: string;
        };
        /**
         * @description Only from a `ready` one can machines be made or set back.
         * @enum {string}
         */
        readonly SnapshotStatus: "creating" | "ready" | "deleting";
        readonly CreateSnapshot: {
            /**
             * @description Unique among your snapshots; as a machine’s name. Default: one is made up.
             * @example before-upgrade
             */
            readonly name?: string;
            /**
             * @description Your own keys and values, by which lists can be filtered. At most 64 labels and 16 KiB of JSON.
             * @example {
             *       "reason": "upgrade"
             *     }
             */
            readonly labels?: {
                readonly [key: string]: string;
            };
            /** @description Whether to copy the memory as well as the disk. Default: true if the machine is running, paused or suspended. */
            readonly memory?: boolean;
            /**
             * @description Afterwards only this many snapshots of the machine are kept, the newest. Default: all.
             * @example 7
             */
            readonly keep?: number;
        };
        readonly SnapshotList: {
            readonly snapshots: readonly components["schemas"]["Snapshot"][];
            /**
             * @description On all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly ForkedMachines: {
            readonly machines: readonly components["schemas"]["ForkedMachine"][];
        };
        readonly ForkedMachine: {
            /** @example worker-1 */
            readonly name: string;
            readonly machine: components["schemas"]["Machine"] & (Record<string, never> | null);
            /** @description Why it could not be made, or not be started; null: nothing is wrong. */
            readonly error: {
                /**
                 * @description For programs.
                 * @example NOT_FOUND
                 */
                readonly code: string;
                /**
                 * @description For people.
                 * @example Machine with id 'abc123' not found
                 */
                readonly message: string;
                /** @description The id in the daemon’s log. */
                readonly request_id?: string;
                /** @description Whether the same request may succeed later without further effects. */
                readonly retryable?: boolean;
                /** @description What to do next. */
                readonly hint?: string;
                /** @description Further facts for programs, such as the output of a command that was killed at its timeout. */
                readonly details?: {
                    readonly [key: string]: unknown;
                };
            } | null;
        };
        readonly ForkMachine: {
            /**
             * @description How many machines to make, at most 100. Default: 1.
             * @example 3
             */
            readonly count?: number;
            /**
             * @description What they are called, followed by `-` and a number from 1. Default: the machine’s own name.
             * @example worker
             */
            readonly name?: string;
            /**
             * @description Labels of each. Default: the machine’s own.
             * @example {
             *       "team": "web"
             *     }
             */
            readonly labels?: {
                readonly [key: string]: string;
            };
            /** @description Whether they go on from this moment at once. Default: true. */
            readonly start?: boolean;
        };
        readonly Health: {
            /**
             * @description Always `healthy`.
             * @example healthy
             * @enum {string}
             */
            readonly status: "healthy";
            /**
             * @description Version of the daemon.
             * @example 0.1.0
             */
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
        readonly EnvironmentDetail: {
            /** @example ci-42 */
            readonly id: string;
            /**
             * @description Empty: none was given.
             * @example alice
             */
            readonly owner: string;
            readonly state: components["schemas"]["EnvironmentState"];
            /**
             * @description What the last action could not do, one sentence each.
             * @example []
             */
            readonly warnings: readonly string[];
            /**
             * Format: date-time
             * @description Time (UTC) at which it is deleted with its machines; null while it is stopped.
             * @example null
             */
            readonly expires_at: string | null;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly updated_at: string;
            readonly machines: readonly components["schemas"]["MachineSummary"][];
        };
        /**
         * @description `stopped`: its machines are paused or stopped, and its lifetime stands still.
         * @enum {string}
         */
        readonly EnvironmentState: "active" | "stopped";
        readonly CreateEnvironment: {
            /**
             * @description Unique among your environments.
             * @example ci-42
             */
            readonly id: string;
            /**
             * @description A label for people, by which lists can be filtered. Grants nothing.
             * @example alice
             */
            readonly owner?: string;
            /**
             * @description Seconds from now to the deletion of the environment and its machines. Default: 21600. What is longer than the host allows is shortened, and a warning says so.
             * @example 3600
             */
            readonly lifetime_seconds?: number;
            /** @description Its machines, without lifetimes of their own. */
            readonly machines: readonly components["schemas"]["EnvironmentMachine"][];
        };
        readonly EnvironmentMachine: {
            /**
             * @description Unique among your machines, and the guest’s host name. At most 128 letters, digits, `.`, `_` and `-`. Must not look like an id: 12 lower-case letters and digits, also after `vm-` or `vm_`.
             * @example web-server
             */
            readonly name: string;
            /**
             * @description Number of vCPUs, at most the host’s CPUs. Required without a template or a source, whose number it is by default.
             * @example 1
             */
            readonly vcpu_count?: number;
            /**
             * @description Memory in MiB, at least the image’s `min_memory_mib`. Required without a template or a source, whose size it is by default.
             * @example 256
             */
            readonly mem_size_mib?: number;
            /**
             * @description Id or name of a template, which provides the fields that this request omits.
             * @example web
             */
            readonly template?: string;
            /**
             * @description TCP ports of the guest that the reverse proxy may reach, at most 256. For a port of the host use `network.ports`.
             * @example [
             *       8080
             *     ]
             */
            readonly exposed_ports?: readonly number[];
            /**
             * @description Image name, or a registry-style reference: `debian:12` means `debian-12`. Images are not pulled; common references such as `alpine:latest` are mapped to the nearest image, and `image_note` says so. Default, also for null: `debian-12`.
             * @example busybox
             */
            readonly image?: string | null;
            /**
             * @description Size of the root disk in MiB, at least the image’s `size_mib`. Default: 10240, or the image’s size if larger.
             * @example 1024
             */
            readonly disk_size_mib?: number;
            /**
             * @description Engine that runs the machine. Default: the host’s engine.
             * @example qemu
             */
            readonly engine?: string;
            /**
             * @description How the machine starts. `cold`: its kernel boots. `auto`: the daemon chooses the fastest way that it has; today that is to boot the kernel as well. Default: `auto`.
             * @example auto
             * @enum {string}
             */
            readonly boot?: "auto" | "cold";
            /**
             * @description Your own keys and values, by which lists can be filtered. At most 64 labels and 16 KiB of JSON.
             * @example {
             *       "team": "web"
             *     }
             */
            readonly labels?: {
                readonly [key: string]: string;
            };
            /**
             * @description Environment variables of every command run in the machine. At most 64 variables and 16 KiB of JSON.
             * @example {
             *       "LANG": "C.UTF-8"
             *     }
             */
            readonly env?: {
                readonly [key: string]: string;
            };
            readonly restart?: components["schemas"]["RestartPolicy"];
            /**
             * @description Whether a request through the reverse proxy, or an SSH login, starts or resumes the machine when it is stopped or paused.
             * @example true
             */
            readonly auto_wake?: boolean;
            /** @description What happens to it when nobody uses it for a while. Default, also for null: nothing. */
            readonly idle?: {
                /**
                 * @description Seconds without requests, commands, terminals, file transfers and connections.
                 * @example 600
                 */
                readonly after_seconds: number;
                /**
                 * @description `pause` keeps its memory; `suspend` saves it on the disk and frees it; `stop` gives it up.
                 * @example pause
                 * @enum {string}
                 */
                readonly action: "pause" | "suspend" | "stop";
            } | null;
            /**
             * @description What its guest does once, after its first start: a part of cloud-init’s `#cloud-config`, or a script that begins with `#!`. At most 64 KiB. After a template’s own.
             * @example #cloud-config
             *     runcmd:
             *       - echo hello > /root/hello
             */
            readonly user_data?: string;
            /**
             * @description Public keys, such as the content of `id_ed25519.pub`, that enter this machine alone through the SSH gateway. At most 64 keys and 32 KiB. Root’s keys in `user_data` are added. Root’s `authorized_keys` in the guest has them, too, as lines with the mark `managed-by-flotilla`.
             * @example [
             *       "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt me@laptop"
             *     ]
             */
            readonly ssh_keys?: readonly string[];
            /**
             * @description Port of the host at which SSH clients enter this machine alone, with a user of the guest as login name. 0: a free one; otherwise one of FLOTILLA_SSH_PORTS. Default, also for null: none.
             * @example 0
             */
            readonly ssh_port?: number | null;
            /**
             * @description Hyperfleet’s name for `disk_size_mib`, in MiB. `disk_size_mib` takes precedence.
             * @example 1024
             */
            readonly image_size_mib?: number;
            /**
             * @description Accepted for compatibility and ignored. The operator sets it for the whole host; the machine shows the value in use.
             * @example null
             */
            readonly kernel_image_path?: string | null;
            /**
             * @description Accepted for compatibility and ignored. The operator sets it for the whole host; the machine shows the value in use.
             * @example null
             */
            readonly kernel_args?: string | null;
            /**
             * @description Accepted for compatibility and ignored. The operator sets it for the whole host; the machine shows the value in use.
             * @example null
             */
            readonly rootfs_path?: string | null;
            readonly network?: components["schemas"]["MachineNetworkRequest"];
            /** @description Refused: images are not pulled from registries yet. */
            readonly registry_auth?: {
                readonly [key: string]: unknown;
            };
        };
        readonly EnvironmentList: {
            readonly environments: readonly components["schemas"]["Environment"][];
            /**
             * @description Environments that match, on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly Environment: {
            /** @example ci-42 */
            readonly id: string;
            /**
             * @description Empty: none was given.
             * @example alice
             */
            readonly owner: string;
            readonly state: components["schemas"]["EnvironmentState"];
            /**
             * @description What the last action could not do, one sentence each.
             * @example []
             */
            readonly warnings: readonly string[];
            /**
             * Format: date-time
             * @description Time (UTC) at which it is deleted with its machines; null while it is stopped.
             * @example null
             */
            readonly expires_at: string | null;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly updated_at: string;
        };
        readonly ExtendEnvironment: {
            /**
             * @description Seconds from now to its deletion; while it is stopped, from its next start.
             * @example 3600
             */
            readonly lifetime_seconds: number;
        };
        readonly Image: {
            /**
             * @description Unique among the images you can see.
             * @example alpine-3.20
             */
            readonly name: string;
            /**
             * @description Checksum of the root file system, which never changes.
             * @example sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
             */
            readonly digest: string;
            /**
             * @description Minimum size of a machine’s disk, in MiB.
             * @example 128
             */
            readonly size_mib: number;
            /**
             * @description Minimum memory of a machine, in MiB.
             * @example 96
             */
            readonly min_memory_mib: number;
            /**
             * @description Kernel of the guests. `host`: this host’s kernel. `image`: the newest kernel in the image, `/boot/vmlinuz-<release>` or `/boot/vmlinux-<release>`, with its `/lib/modules/<release>`.
             * @example host
             * @enum {string}
             */
            readonly kernel: "host" | "image";
            /**
             * @description Release of the image’s own kernel, as `uname -r` shows it; null if guests use the host’s kernel.
             * @example null
             */
            readonly kernel_release: string | null;
            /**
             * @description Made by set-up; cannot be deleted.
             * @example false
             */
            readonly built_in: boolean;
            /**
             * @description Whether all tenants of this host can use it.
             * @example false
             */
            readonly shared: boolean;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
        };
        readonly ImportImage: {
            /**
             * @description Unique among the images you can see, at most 240 characters. It may contain a registry, a path and a tag: `ghcr.io/org/app:1`, which in a URL path may stand as it is or percent-encoded.
             * @example alpine-3.20
             */
            readonly name: string;
            /**
             * @description Absolute path of a root directory on the daemon’s host.
             * @example /srv/roots/alpine
             */
            readonly directory?: string;
            /**
             * @description Absolute path of a tar archive on the daemon’s host: plain, or compressed with gzip, zstd, xz or bzip2.
             * @example /srv/roots/alpine.tar.gz
             */
            readonly tarball?: string;
            /**
             * @description Kernel of the guests. `host`: this host’s kernel. `image`: the newest kernel in the image, `/boot/vmlinuz-<release>` or `/boot/vmlinux-<release>`, with its `/lib/modules/<release>`.
             * @default host
             * @example host
             * @enum {string}
             */
            readonly kernel?: "host" | "image";
            /**
             * @description Minimum memory of a machine with this image, in MiB.
             * @default 96
             * @example 96
             */
            readonly min_memory_mib?: number;
            /**
             * @description Whether all tenants of this host can use the image. Default: only yours.
             * @default false
             * @example false
             */
            readonly shared?: boolean;
        };
        readonly ImageList: {
            /** @description Images on this page. */
            readonly images: readonly components["schemas"]["Image"][];
            /**
             * @description Number of images you can see on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly CreatedKey: components["schemas"]["Key"] & {
            /**
             * @description The secret. It is never shown again.
             * @example hf_5Gd0aQzXb7Lr2YtVw9KpEu4NsHc6MjTf
             */
            readonly key: string;
        };
        /**
         * @description What a key permits. `machines:read`: read machines, images and operations. `machines:write`: create, change and delete machines and images. `machines:exec`: run commands. `*`: everything, including keys.
         * @enum {string}
         */
        readonly Scope: "machines:read" | "machines:write" | "machines:exec" | "*";
        readonly Key: {
            /**
             * @description Identifier of the key.
             * @example m4t8w1x6c3ra
             */
            readonly id: string;
            /**
             * @description For people; need not be unique. At most 128 characters.
             * @example ci
             */
            readonly name: string;
            /**
             * @description What the key permits.
             * @example [
             *       "machines:read",
             *       "machines:exec"
             *     ]
             */
            readonly scopes: readonly components["schemas"]["Scope"][];
            /**
             * @description Tenant that the key acts for.
             * @example default
             */
            readonly tenant: string;
            /**
             * @description Null: the key has no limits.
             * @example null
             * @enum {string|null}
             */
            readonly tier: "free" | "pro" | "enterprise" | null;
            /**
             * @description First eleven characters of the secret.
             * @example hf_5Gd0aQzX
             */
            readonly prefix: string;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * Format: date-time
             * @description Time (UTC) of expiry; null if it never expires.
             * @example null
             */
            readonly expires_at: string | null;
            /**
             * Format: date-time
             * @description Time (UTC) of the latest use, exact to a minute; null before the first use.
             * @example null
             */
            readonly last_used_at: string | null;
            /**
             * Format: date-time
             * @description Time (UTC) of revocation; null if not revoked.
             * @example null
             */
            readonly revoked_at: string | null;
            /**
             * @description Id of the key that created it. Revoking that key revokes this one. Null for the operator’s key.
             * @example null
             */
            readonly created_by: string | null;
        };
        readonly CreateKey: {
            /**
             * @description For people; need not be unique. At most 128 characters.
             * @example ci
             */
            readonly name: string;
            /**
             * @description What the key permits.
             * @example [
             *       "machines:read",
             *       "machines:exec"
             *     ]
             */
            readonly scopes: readonly components["schemas"]["Scope"][];
            /**
             * Format: date-time
             * @description Time at which the key expires, in RFC 3339 format. Must be in the future. Default: never.
             * @example 2126-11-22T08:30:00.000Z
             */
            readonly expires_at?: string;
            /**
             * @description Tenant that the key acts for. Default: yours. Only the operator can choose another.
             * @example default
             */
            readonly tenant?: string;
            /**
             * @description Null: no limits by the key. Default: that of the key that makes it.
             * @enum {string|null}
             */
            readonly tier?: "free" | "pro" | "enterprise" | null;
        };
        readonly KeyList: {
            /** @description Keys on this page. */
            readonly keys: readonly components["schemas"]["Key"][];
            /**
             * @description Number of keys on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly QuotaList: {
            readonly quotas: readonly components["schemas"]["QuotaEntry"][];
            /**
             * @description Quotas on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly QuotaEntry: {
            /**
             * @description The tenant’s name.
             * @example acme
             */
            readonly tenant: string;
            readonly limits: {
                /**
                 * @description Machines, running or not; null: no limit.
                 * @example 10
                 */
                readonly machines: number | null;
                /**
                 * @description vCPUs of all machines together; null: no limit.
                 * @example 20
                 */
                readonly vcpus: number | null;
                /**
                 * @description Memory of all machines together, in MiB; null: no limit.
                 * @example 16384
                 */
                readonly memory_mib: number | null;
                /**
                 * @description Disks of all machines together, in MiB; null: no limit.
                 * @example null
                 */
                readonly disk_mib: number | null;
            };
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly updated_at: string;
        };
        readonly Quota: {
            /**
             * @description The tenant’s name.
             * @example acme
             */
            readonly tenant: string;
            readonly limits: {
                /**
                 * @description Machines, running or not; null: no limit.
                 * @example 10
                 */
                readonly machines: number | null;
                /**
                 * @description vCPUs of all machines together; null: no limit.
                 * @example 20
                 */
                readonly vcpus: number | null;
                /**
                 * @description Memory of all machines together, in MiB; null: no limit.
                 * @example 16384
                 */
                readonly memory_mib: number | null;
                /**
                 * @description Disks of all machines together, in MiB; null: no limit.
                 * @example null
                 */
                readonly disk_mib: number | null;
            };
            readonly used: {
                readonly machines: number;
                readonly vcpus: number;
                readonly memory_mib: number;
                readonly disk_mib: number;
            };
            /** @description Whether these are the host’s limits for every tenant. */
            readonly is_default: boolean;
        };
        /** @description Absent fields are not limited. */
        readonly SetQuota: {
            /**
             * @description Machines, running or not; null: no limit.
             * @example 10
             */
            readonly machines?: number | null;
            /**
             * @description vCPUs of all machines together; null: no limit.
             * @example 20
             */
            readonly vcpus?: number | null;
            /**
             * @description Memory of all machines together, in MiB; null: no limit.
             * @example 16384
             */
            readonly memory_mib?: number | null;
            /**
             * @description Disks of all machines together, in MiB; null: no limit.
             * @example null
             */
            readonly disk_mib?: number | null;
        };
        readonly OperationList: {
            /** @description Operations on this page. */
            readonly operations: readonly components["schemas"]["Operation"][];
            /**
             * @description Number of matching operations on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly Operation: {
            /**
             * @description Identifier of the operation.
             * @example p7d0w4h2n6ry
             */
            readonly id: string;
            /**
             * @description What it does.
             * @example machine.start
             * @enum {string}
             */
            readonly kind: "machine.create" | "machine.clone" | "machine.start" | "machine.restore" | "machine.restart" | "machine.stop" | "machine.pause" | "machine.resume" | "machine.suspend" | "machine.revert" | "machine.delete" | "environment.create" | "environment.stop" | "environment.start" | "environment.delete" | "snapshot.create" | "snapshot.delete" | "image.import" | "image.delete";
            /** @description Machines or images that it changes. They may no longer exist. */
            readonly subjects: readonly components["schemas"]["OperationSubject"][];
            /**
             * @description Id of the machine that it changes; null if it changes none.
             * @example k3v9x2m1q8zt
             */
            readonly machine_id: string | null;
            readonly state: components["schemas"]["OperationState"];
            /**
             * @description Whether another request, such as a stop, cancels it.
             * @example false
             */
            readonly cancel_requested: boolean;
            /** @description Steps that started, oldest first. */
            readonly steps: readonly components["schemas"]["OperationStep"][];
            readonly failure: components["schemas"]["OperationFailure"];
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly updated_at: string;
        };
        readonly OperationSubject: {
            /**
             * @description Kind of the subject.
             * @example machine
             * @enum {string}
             */
            readonly kind: "machine" | "image" | "snapshot" | "environment" | "host";
            /**
             * @description Identifier of the subject.
             * @example k3v9x2m1q8zt
             */
            readonly id: string;
        };
        /**
         * @description `undoing`: after a failed step or a cancellation, the steps that started are being undone. `succeeded`, `failed` and `cancelled` are final.
         * @enum {string}
         */
        readonly OperationState: "running" | "undoing" | "succeeded" | "failed" | "cancelled";
        readonly OperationStep: {
            /**
             * @description Name of the step.
             * @example launch
             */
            readonly name: string;
            /**
             * @description Latest phase of the step.
             * @example succeeded
             * @enum {string}
             */
            readonly phase: "started" | "succeeded" | "undoing" | "undone";
            /**
             * Format: date-time
             * @description Time (UTC) at which the phase began.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly at: string;
        };
        /** @description Why it failed or was cancelled; null otherwise. */
        readonly OperationFailure: {
            /**
             * @description For programs: `timed_out`, `guest` (the guest or its link), `engine_failed` (the VMM), `exhausted` (no memory or disk space left), `unavailable`, `unsupported`, `conflict` (cancelled), `abandoned` (a restarted daemon could not continue it) or `internal`. New codes may be added.
             * @example timed_out
             */
            readonly code: string;
            /**
             * @description For people.
             * @example The guest did not answer within 60 s
             */
            readonly message: string;
            /**
             * @description Step that failed; null if no step failed.
             * @example ready
             */
            readonly step: string | null;
        } | null;
        readonly CreateRoute: {
            /**
             * @description Id or name.
             * @example web
             */
            readonly machine: string;
            /**
             * @description Lower-case letters, digits and hyphens; unique on this server. Absent or empty: 12 hexadecimal digits.
             * @example shop
             */
            readonly subdomain?: string;
            /**
             * @description Port of the guest.
             * @example 8080
             */
            readonly target_port: number;
            /** @description Whether a request starts or resumes the machine. Default: true. */
            readonly auto_wake?: boolean;
            /**
             * @description `private`: requests need a token of `POST /api/v1/routes/{id}/tokens`. Default: public.
             * @enum {string}
             */
            readonly access?: "public" | "private";
        };
        readonly UpdateRoute: {
            /**
             * @description Port of the guest.
             * @example 8080
             */
            readonly target_port?: number;
            /** @description Whether a request starts or resumes the machine. Default: true. */
            readonly auto_wake?: boolean;
            /**
             * @description `private`: requests need a token of `POST /api/v1/routes/{id}/tokens`. Default: public.
             * @enum {string}
             */
            readonly access?: "public" | "private";
        };
        readonly RouteToken: {
            /**
             * @description For the header `X-Flotilla-Token`, or the parameter `flotilla_token` of an address.
             * @example r1.tq1x2c.1pV8xQJcJm0n3mQ1Jq2c9d7mV1pV8xQJcJm0n3mQ1Jq
             */
            readonly token: string;
            /**
             * @description The route’s address with the token, to open in a browser; null as in the route.
             * @example https://shop.flotilla.example/?flotilla_token=r1.tq1x2c.1pV8xQJcJm0n3mQ1Jq2c9d7mV1pV8xQJcJm0n3mQ1Jq
             */
            readonly url: string | null;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly expires_at: string;
        };
        readonly CreateRouteToken: {
            /**
             * @description Default: 3600; at most a year.
             * @example 86400
             */
            readonly expires_in_seconds?: number;
        };
        readonly RestoreSnapshot: {
            /** @description Whether the machine runs afterwards. Default: true if the snapshot has memory. */
            readonly start?: boolean;
        };
        readonly SshKey: {
            /** @example s4t8w1x6c3ra */
            readonly id: string;
            /** @example laptop */
            readonly name: string;
            /**
             * @description Without its comment.
             * @example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt
             */
            readonly public_key: string;
            /**
             * @description As `ssh-keygen -l` prints it.
             * @example SHA256:3C4hyrTBzF0Zwo1vCjHnKHPRRQ1LuxCqPuGKnBLtTfk
             */
            readonly fingerprint: string;
            /**
             * @description Id of the API key that registered it: it has that key’s rights and ends with it. Null: the operator’s.
             * @example null
             */
            readonly created_by: string | null;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
        };
        readonly CreateSshKey: {
            /**
             * @description For people; unique within the tenant. Default: the key’s comment, or its fingerprint.
             * @example laptop
             */
            readonly name?: string;
            /**
             * @description The content of a file such as `~/.ssh/id_ed25519.pub`: Ed25519, ECDSA, or RSA from 2048 bits. Never a private key.
             * @example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt me@laptop
             */
            readonly public_key: string;
        };
        readonly SshKeyList: {
            readonly ssh_keys: readonly components["schemas"]["SshKey"][];
            /**
             * @description Your SSH keys, on all pages.
             * @example 1
             */
            readonly total: number;
        };
        readonly Template: {
            /** @example t7k2m9x4c1qa */
            readonly id: string;
            /** @example web */
            readonly name: string;
            /** @example a web server */
            readonly description: string;
            /** @example busybox */
            readonly image: string;
            /**
             * @description As given; null without any, and for keys that may not run commands.
             * @example null
             */
            readonly user_data: string | null;
            /** @example 1 */
            readonly vcpu_count: number;
            /**
             * @description Memory in MiB.
             * @example 256
             */
            readonly mem_size_mib: number;
            /**
             * @description Null: the machine’s own default.
             * @example 1024
             */
            readonly disk_size_mib: number | null;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly created_at: string;
            /**
             * Format: date-time
             * @description Time in UTC, ISO 8601.
             * @example 2026-11-22T08:30:00.000Z
             */
            readonly updated_at: string;
        };
        readonly CreateTemplate: {
            /**
             * @description Unique among your templates; the same characters as in a machine’s name.
             * @example web
             */
            readonly name: string;
            /**
             * @description For people.
             * @example a web server
             */
            readonly description?: string;
            /**
             * @description An image’s name, as for a machine.
             * @example busybox
             */
            readonly image: string;
            /** @description What each machine carries out after its first start. */
            readonly user_data?: string;
            /** @example 1 */
            readonly vcpu_count: number;
            /**
             * @description Memory in MiB.
             * @example 256
             */
            readonly mem_size_mib: number;
            /**
             * @description Size of the root disk in MiB. Default: the machine’s own.
             * @example 1024
             */
            readonly disk_size_mib?: number;
        };
        readonly TemplateList: {
            readonly templates: readonly components["schemas"]["Template"][];
            /**
             * @description Your templates, on all pages.
             * @example 1
             */
            readonly total: number;
        };
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
                /** @description Status of the machines. May be repeated: machines with any of them match. */
                readonly status?: readonly components["schemas"]["MachineStatus"][];
                /** @description Label that machines must have: `key=value`, or `key` for any value. May be repeated, up to 16 times; all must match. */
                readonly label?: readonly string[];
                /** @description Name of the image, the reference given at creation, or the digest. May be repeated: machines with any of them match. */
                readonly image?: readonly string[];
                /** @description Order of the list; `-` means descending. Default: `-created_at`. */
                readonly sort?: components["schemas"]["MachineSort"];
                /** @description Maximum number of machines to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of machines to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description One page of machines. */
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
                /** @description Id or name of the machine. */
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
                /** @description Also delete a running or paused machine, and cancel its open operation. */
                readonly force?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
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
                /** @description Id or name of the machine. */
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
                /** @description Answer 200 instead of 400 if the machine is already in the target state or on its way to it. */
                readonly idempotent?: boolean;
                /** @description Cancel the operation if the client disconnects before the answer. Without it the operation continues. */
                readonly cancel_on_disconnect?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
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
                /** @description Answer 200 instead of 400 if the machine is already in the target state or on its way to it. */
                readonly idempotent?: boolean;
                /** @description Also stop a suspended machine. Its saved memory is lost, and it boots from its disk the next time. */
                readonly force?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
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
                /** @description Id or name of the machine. */
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
                /** @description Answer 200 instead of 400 if the machine is already in the target state or on its way to it. */
                readonly idempotent?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
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
                /** @description Answer 200 instead of 400 if the machine is already in the target state or on its way to it. */
                readonly idempotent?: boolean;
                /** @description Cancel the operation if the client disconnects before the answer. Without it the operation continues. */
                readonly cancel_on_disconnect?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
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
    readonly suspendMachine: {
        readonly parameters: {
            readonly query?: {
                /** @description Answer 200 instead of 400 if the machine is already in the target state or on its way to it. */
                readonly idempotent?: boolean;
                /** @description Cancel the operation if the client disconnects before the answer. Without it the operation continues. */
                readonly cancel_on_disconnect?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
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
                /** @description Status of a machine. `state` shows it in more detail. */
                readonly status: components["schemas"]["MachineStatus"];
                /** @description Seconds to wait, at most 30. To wait longer, repeat the request. */
                readonly timeout?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
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
    readonly getMachineMetrics: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The figures. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["MachineMetrics"];
                };
            };
        };
    };
    readonly getMachineConsole: {
        readonly parameters: {
            readonly query?: {
                /** @description Number of last lines to return, at most 10,000 and together at most 1 MiB. */
                readonly lines?: number;
                /** @description Continue with new output until the machine stops. */
                readonly follow?: boolean;
                /** @description Begin each line with the RFC 3339 time at which the daemon saw it and a space. A line printed while no daemon ran is also marked `[seen late, after <time>]`. */
                readonly timestamps?: boolean;
                /** @description Read the console of the boot before the latest one. With `follow` the answer ends after it. */
                readonly previous?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The lines of the console, oldest first. */
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
                /** @description Id or name of the machine. */
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
            /** @description The result of the command, or its events. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ExecResult"];
                    readonly "application/x-ndjson": components["schemas"]["ExecEvent"];
                    readonly "text/event-stream": components["schemas"]["ExecEvent"];
                };
            };
            /** @description With `detach`: the command has started. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ExecStarted"];
                };
            };
        };
    };
    readonly listExecs: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The commands. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["MachineExecList"];
                };
            };
        };
    };
    readonly getExec: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
                /** @description Id of the command. */
                readonly eid: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The command. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["MachineExec"];
                };
            };
        };
    };
    readonly deleteExec: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
                /** @description Id of the command. */
                readonly eid: string;
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
    readonly getExecOutput: {
        readonly parameters: {
            readonly query?: {
                /** @description The cursor to begin at, in bytes of both streams. Default: `Last-Event-ID`, else 0. A cursor whose output is no longer kept is an error (410). */
                readonly from?: number;
                /** @description Only this stream. Default: both, in the order of writing. */
                readonly stream?: "stdout" | "stderr";
                /** @description Whether to go on with new output until the command ends. */
                readonly follow?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
                /** @description Id of the command. */
                readonly eid: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The output. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/octet-stream": string;
                    readonly "application/x-ndjson": components["schemas"]["ExecOutputEvent"];
                    readonly "text/event-stream": components["schemas"]["ExecOutputEvent"];
                };
            };
        };
    };
    readonly waitForExec: {
        readonly parameters: {
            readonly query?: {
                /** @description Seconds to wait, at most 30. To wait longer, repeat the request. */
                readonly timeout?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
                /** @description Id of the command. */
                readonly eid: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The command. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["MachineExec"];
                };
            };
        };
    };
    readonly signalExec: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
                /** @description Id of the command. */
                readonly eid: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "signal": "TERM"
                 *     }
                 */
                readonly "application/json": {
                    /**
                     * @description Name of a signal, with or without `SIG`.
                     * @example TERM
                     */
                    readonly signal: string;
                };
            };
        };
        readonly responses: {
            /** @description Done. */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly feedExec: {
        readonly parameters: {
            readonly query?: {
                /** @description Whether standard input ends after the body. */
                readonly end?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
                /** @description Id of the command. */
                readonly eid: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/octet-stream": string;
            };
        };
        readonly responses: {
            /** @description Done. */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly resizeExec: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
                /** @description Id of the command. */
                readonly eid: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "rows": 50,
                 *       "columns": 132
                 *     }
                 */
                readonly "application/json": {
                    /**
                     * @description Height in characters.
                     * @example 50
                     */
                    readonly rows: number;
                    /**
                     * @description Width in characters.
                     * @example 132
                     */
                    readonly columns: number;
                };
            };
        };
        readonly responses: {
            /** @description Done. */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly readFile: {
        readonly parameters: {
            readonly query: {
                /** @description An absolute path in the guest, without `..`. */
                readonly path: string;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The file. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["FileContent"];
                };
            };
        };
    };
    readonly writeFile: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "path": "/root/hello.txt",
                 *       "content": "aGVsbG8K"
                 *     }
                 */
                readonly "application/json": {
                    /** @description An absolute path in the guest, without `..`. */
                    readonly path: string;
                    /**
                     * Format: byte
                     * @description The whole content, in base64 with padding. It must come after `path`.
                     */
                    readonly content: string;
                };
            };
        };
        readonly responses: {
            /** @description Written. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["FileWritten"];
                };
            };
        };
    };
    readonly deleteFile: {
        readonly parameters: {
            readonly query: {
                /** @description An absolute path in the guest, without `..`. */
                readonly path: string;
                /** @description Whether to remove a directory with everything in it. */
                readonly recursive?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
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
    readonly statFile: {
        readonly parameters: {
            readonly query: {
                /** @description An absolute path in the guest, without `..`. */
                readonly path: string;
                /** @description Whether to describe what a symbolic link points to instead of the link. */
                readonly follow?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The file. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["FileStat"];
                };
            };
        };
    };
    readonly downloadFile: {
        readonly parameters: {
            readonly query: {
                /** @description An absolute path in the guest. */
                readonly path: string;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The file. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/octet-stream": string;
                };
            };
            /** @description A part of the file. */
            readonly 206: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/octet-stream": string;
                };
            };
        };
    };
    readonly uploadFile: {
        readonly parameters: {
            readonly query: {
                /** @description An absolute path in the guest. */
                readonly path: string;
                /** @description Permissions in octal digits. Default: as before, else 0644. */
                readonly mode?: string;
                /** @description Who gets it: USER or USER:GROUP, each by name or number in the guest. Default: as before, else root. */
                readonly owner?: string;
                /** @description Whether to make the missing directories above it. */
                readonly parents?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/octet-stream": string;
            };
        };
        readonly responses: {
            /** @description The file, as it is now. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["File"];
                };
            };
        };
    };
    readonly listFiles: {
        readonly parameters: {
            readonly query: {
                /** @description An absolute path in the guest. */
                readonly path: string;
                /** @description Only names after this one: the `next` of the page before. */
                readonly after?: string;
                /** @description Maximum number of files to return, at most 1000. */
                readonly limit?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description One page. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["FileList"];
                };
            };
        };
    };
    readonly makeDirectory: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "path": "/srv/data",
                 *       "parents": true
                 *     }
                 */
                readonly "application/json": {
                    /**
                     * @description An absolute path in the guest.
                     * @example /srv/data
                     */
                    readonly path: string;
                    /**
                     * @description Whether to make the missing directories above it, and to accept an existing one.
                     * @default false
                     */
                    readonly parents?: boolean;
                    /**
                     * @description Permissions in octal digits. Default: as before, else 0755.
                     * @example 0644
                     */
                    readonly mode?: string;
                    /** @description Who gets it: USER or USER:GROUP, each by name or number in the guest. Default: as before, else root. */
                    readonly owner?: string;
                };
            };
        };
        readonly responses: {
            /** @description The directory. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["File"];
                };
            };
        };
    };
    readonly moveFile: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "from": "/srv/data.new",
                 *       "to": "/srv/data"
                 *     }
                 */
                readonly "application/json": {
                    /**
                     * @description The file or directory to move.
                     * @example /srv/data.new
                     */
                    readonly from: string;
                    /**
                     * @description Its new path.
                     * @example /srv/data
                     */
                    readonly to: string;
                    /**
                     * @description Whether to replace a file, or an empty directory, that is there.
                     * @default false
                     */
                    readonly overwrite?: boolean;
                };
            };
        };
        readonly responses: {
            /** @description The file at its new path. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["File"];
                };
            };
        };
    };
    readonly downloadArchive: {
        readonly parameters: {
            readonly query: {
                /** @description An absolute path in the guest. */
                readonly path: string;
                /** @description The name of the first entry. Default: the path’s last part. `.` makes an archive of what is in the directory. */
                readonly name?: string;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The archive. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/octet-stream": string;
                };
            };
        };
    };
    readonly uploadArchive: {
        readonly parameters: {
            readonly query: {
                /** @description An absolute path in the guest. */
                readonly path: string;
                /** @description Who gets it: USER or USER:GROUP, each by name or number in the guest. Default: as the archive says. */
                readonly owner?: string;
                /** @description Whether to make the missing directories above it. */
                readonly parents?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/octet-stream": string;
            };
        };
        readonly responses: {
            /** @description Unpacked. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ArchiveUnpacked"];
                };
            };
        };
    };
    readonly watchFiles: {
        readonly parameters: {
            readonly query: {
                /** @description An absolute path in the guest. */
                readonly path: string;
                /** @description Whether to watch all directories below, too. */
                readonly recursive?: boolean;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The changes. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "text/event-stream": components["schemas"]["FileChange"];
                };
            };
        };
    };
    readonly createSshCertificate: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt"
                 *     }
                 */
                readonly "application/json": components["schemas"]["CreateSshCertificate"];
            };
        };
        readonly responses: {
            /** @description The certificate, and where to use it. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["SshCertificate"];
                };
            };
        };
    };
    readonly listMachinePorts: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The ports. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["PublishedPorts"];
                };
            };
        };
    };
    readonly publishMachinePort: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "guest_port": 80,
                 *       "host_port": 8080
                 *     }
                 */
                readonly "application/json": components["schemas"]["PublishPort"];
            };
        };
        readonly responses: {
            /** @description The published port. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["PortPublished"];
                };
            };
        };
    };
    readonly unpublishMachinePort: {
        readonly parameters: {
            readonly query?: {
                /** @description Default: `tcp`. */
                readonly protocol?: "tcp" | "udp";
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
                /** @description Port of the host. */
                readonly host_port: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The withdrawn port. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["PortPublished"];
                };
            };
        };
    };
    readonly listDeniedEgress: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The destinations. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["DeniedEgress"];
                };
            };
        };
    };
    readonly listMachineRoutes: {
        readonly parameters: {
            readonly query?: {
                /** @description Maximum number of routes to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of routes to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of routes, newest first. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RouteList"];
                };
            };
        };
    };
    readonly createMachineRoute: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "target_port": 8080
                 *     }
                 */
                readonly "application/json": components["schemas"]["CreateMachineRoute"];
            };
        };
        readonly responses: {
            /** @description The route. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Route"];
                };
            };
        };
    };
    readonly listMachineSnapshots: {
        readonly parameters: {
            readonly query?: {
                /** @description Maximum number of snapshots to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of snapshots to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of snapshots, newest first. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["SnapshotList"];
                };
            };
        };
    };
    readonly createSnapshot: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                /**
                 * @example {
                 *       "name": "before-upgrade"
                 *     }
                 */
                readonly "application/json": components["schemas"]["CreateSnapshot"];
            };
        };
        readonly responses: {
            /** @description The snapshot. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Snapshot"];
                };
            };
        };
    };
    readonly forkMachine: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the machine. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                /**
                 * @example {
                 *       "count": 3,
                 *       "name": "worker"
                 *     }
                 */
                readonly "application/json": components["schemas"]["ForkMachine"];
            };
        };
        readonly responses: {
            /** @description The machines, in the order of their numbers. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ForkedMachines"];
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
            /** @description The daemon runs. */
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
    readonly listEnvironments: {
        readonly parameters: {
            readonly query?: {
                /** @description Only those with this owner. */
                readonly owner?: string;
                /** @description Maximum number of environments to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of environments to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of environments. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["EnvironmentList"];
                };
            };
        };
    };
    readonly createEnvironment: {
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
                 *       "id": "ci-42",
                 *       "owner": "alice",
                 *       "lifetime_seconds": 3600,
                 *       "machines": [
                 *         {
                 *           "name": "ci-42-web",
                 *           "vcpu_count": 1,
                 *           "mem_size_mib": 256,
                 *           "image": "busybox"
                 *         }
                 *       ]
                 *     }
                 */
                readonly "application/json": components["schemas"]["CreateEnvironment"];
            };
        };
        readonly responses: {
            /** @description The environment and its machines. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["EnvironmentDetail"];
                };
            };
        };
    };
    readonly getEnvironment: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The environment’s id. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The environment and its machines. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["EnvironmentDetail"];
                };
            };
        };
    };
    readonly deleteEnvironment: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The environment’s id. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Deleted, with its machines. */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly extendEnvironment: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The environment’s id. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "lifetime_seconds": 3600
                 *     }
                 */
                readonly "application/json": components["schemas"]["ExtendEnvironment"];
            };
        };
        readonly responses: {
            /** @description The environment and its machines. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["EnvironmentDetail"];
                };
            };
        };
    };
    readonly stopEnvironment: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The environment’s id. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The environment and its machines. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["EnvironmentDetail"];
                };
            };
        };
    };
    readonly startEnvironment: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The environment’s id. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The environment and its machines. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["EnvironmentDetail"];
                };
            };
        };
    };
    readonly listImages: {
        readonly parameters: {
            readonly query?: {
                /** @description Maximum number of images to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of images to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description One page of images. */
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
                /** @description Name of the image. Write `/` as `%2F`. */
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
                /** @description Kernel of the guests. `host`: this host’s kernel. `image`: the newest kernel in the image, `/boot/vmlinuz-<release>` or `/boot/vmlinux-<release>`, with its `/lib/modules/<release>`. */
                readonly kernel?: "host" | "image";
                /** @description Minimum memory of a machine with this image, in MiB. */
                readonly min_memory_mib?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description Name of the image. */
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
                /** @description Name of the image. Write `/` as `%2F`. */
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
                /** @description Maximum number of keys to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of keys to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description One page of keys. */
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
            /** @description The key with its secret. The answer must not be cached. */
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
                /** @description Id of the key. */
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
                /** @description Id of the key. */
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
    readonly listQuotas: {
        readonly parameters: {
            readonly query?: {
                /** @description Maximum number of quotas to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of quotas to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of quotas. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["QuotaList"];
                };
            };
        };
    };
    readonly getQuota: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The tenant’s name. */
                readonly tenant: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The limits, and what is used. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Quota"];
                };
            };
        };
    };
    readonly setQuota: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The tenant’s name. */
                readonly tenant: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "machines": 10,
                 *       "memory_mib": 16384
                 *     }
                 */
                readonly "application/json": components["schemas"]["SetQuota"];
            };
        };
        readonly responses: {
            /** @description The limits, and what is used. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Quota"];
                };
            };
        };
    };
    readonly removeQuota: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The tenant’s name. */
                readonly tenant: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Removed. */
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
                /** @description Only operations on this machine: its id, even after its deletion, or its name while it exists. */
                readonly machine?: string;
                /** @description State of the operations. May be repeated: operations with any of them match. */
                readonly state?: readonly components["schemas"]["OperationState"][];
                /** @description Maximum number of operations to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of operations to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description One page of operations. */
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
                /** @description Id of the operation. */
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
    readonly listRoutes: {
        readonly parameters: {
            readonly query?: {
                /** @description Maximum number of routes to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of routes to skip. */
                readonly offset?: number;
                /** @description Only those of this machine: id or name. */
                readonly machine?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of routes, newest first. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RouteList"];
                };
            };
        };
    };
    readonly createRoute: {
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
                 *       "machine": "web",
                 *       "subdomain": "shop",
                 *       "target_port": 8080
                 *     }
                 */
                readonly "application/json": components["schemas"]["CreateRoute"];
            };
        };
        readonly responses: {
            /** @description The route. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Route"];
                };
            };
        };
    };
    readonly getRoute: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or subdomain. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The route. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Route"];
                };
            };
        };
    };
    readonly deleteRoute: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or subdomain. */
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
    readonly updateRoute: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or subdomain. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                /**
                 * @example {
                 *       "target_port": 8081
                 *     }
                 */
                readonly "application/json": components["schemas"]["UpdateRoute"];
            };
        };
        readonly responses: {
            /** @description The route. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Route"];
                };
            };
        };
    };
    readonly createRouteToken: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or subdomain. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                /**
                 * @example {
                 *       "expires_in_seconds": 86400
                 *     }
                 */
                readonly "application/json": components["schemas"]["CreateRouteToken"];
            };
        };
        readonly responses: {
            /** @description The token. It is not shown again. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RouteToken"];
                };
            };
        };
    };
    readonly revokeRouteTokens: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or subdomain. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Revoked. Connections that are open stay open. */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly listSnapshots: {
        readonly parameters: {
            readonly query?: {
                /** @description Maximum number of snapshots to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of snapshots to skip. */
                readonly offset?: number;
                /** @description Only those of this machine: id or name; of a deleted one the id. */
                readonly machine?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of snapshots, newest first. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["SnapshotList"];
                };
            };
        };
    };
    readonly getSnapshot: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the snapshot. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The snapshot. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Snapshot"];
                };
            };
        };
    };
    readonly deleteSnapshot: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the snapshot. */
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
    readonly restoreSnapshot: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id or name of the snapshot. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                /**
                 * @example {
                 *       "start": true
                 *     }
                 */
                readonly "application/json": components["schemas"]["RestoreSnapshot"];
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
    readonly listSshKeys: {
        readonly parameters: {
            readonly query?: {
                /** @description Maximum number of ssh keys to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of ssh keys to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of SSH keys, newest first. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["SshKeyList"];
                };
            };
        };
    };
    readonly createSshKey: {
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
                 *       "name": "laptop",
                 *       "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt me@laptop"
                 *     }
                 */
                readonly "application/json": components["schemas"]["CreateSshKey"];
            };
        };
        readonly responses: {
            /** @description The SSH key. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["SshKey"];
                };
            };
        };
    };
    readonly getSshKey: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id, name or fingerprint. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The SSH key. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["SshKey"];
                };
            };
        };
    };
    readonly deleteSshKey: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description Id, name or fingerprint. */
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
    readonly listTemplates: {
        readonly parameters: {
            readonly query?: {
                /** @description Maximum number of templates to return, at most 1000. */
                readonly limit?: number;
                /** @description Number of templates to skip. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of templates, newest first. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["TemplateList"];
                };
            };
        };
    };
    readonly createTemplate: {
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
                 *       "name": "web",
                 *       "description": "a web server",
                 *       "image": "busybox",
                 *       "vcpu_count": 1,
                 *       "mem_size_mib": 256
                 *     }
                 */
                readonly "application/json": components["schemas"]["CreateTemplate"];
            };
        };
        readonly responses: {
            /** @description The template. */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Template"];
                };
            };
        };
    };
    readonly getTemplate: {
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
            /** @description The template. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Template"];
                };
            };
        };
    };
    readonly deleteTemplate: {
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
            /** @description Deleted. */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
}
