/** The head of the document of Flotilla's own API, used by SDK, CLI and dashboard. */
import type { DocumentHead } from '../dialect.ts';

const description = `
Flotilla runs fleets of microVMs on machines you own. Five requests to a command’s output:

1. **A key.** \`flotilla keys create --name ci --scope machines:read,machines:write,machines:exec\` prints one; the operator
   can also use \`POST /api/v1/keys\`. Send it with every request: \`Authorization: Bearer hf_…\`.
2. **Create** a machine: \`POST /machines\` with \`{"name":"web","vcpu_count":1,"mem_size_mib":256,"image":"busybox"}\`.
3. **Start** it: \`POST /machines/web/start\`. It answers when the guest is ready.
4. **Exec**: \`POST /machines/web/exec\` with \`{"command":["uname","-r"]}\` returns \`exit_code\`, \`stdout\` and \`stderr\`. With
   \`Accept: application/x-ndjson\` it streams the output, and
   with \`"detach":true\` the command outlives the request.
5. **Delete** it: \`DELETE /machines/web?force=true\`.

\`{id}\` of a machine can be its id or its name. Unknown query parameters and body fields are refused. Generate clients for other
languages from this document, for example with \`openapi-python-client\` or \`@hey-api/openapi-ts\`.

Every error body is \`{"error":{"code","message"}}\`; \`code\` is for programs and \`message\` for people. An
\`X-Request-Id\` that you send is returned; without one, the daemon makes one. The daemon's log shows it for requests that changed
something or were refused, and with \`FLOTILLA_LOG_LEVEL=debug\` for all.

Requests that are not valid HTTP are answered with 400, too large headers with 431, and headers or bodies that arrive too slowly with
408, all with the same error body.

\`/api/v1/machines\` and \`/machines\` are two names of the same routes.
`.trim();

export const nativeDocument: DocumentHead = {
  name: 'machines',
  title: 'Flotilla API',
  description,
  tags: [
    { name: 'machines', description: 'MicroVMs: create, start, stop, pause, delete.' },
    { name: 'execs', description: 'Commands in running machines: run, detach, follow, end.' },
    { name: 'files', description: 'Files of running machines: contents of any size, trees, changes.' },
    {
      name: 'operations',
      description: 'Running and recent changes to machines and images, and why they failed.',
    },
    { name: 'images', description: 'Root file systems that machines start from.' },
    {
      name: 'snapshots',
      description: 'Disks and memory of machines at one moment, and machines made from them.',
    },
    { name: 'routes', description: 'Names in the reverse proxy’s domain that lead to machines.' },
    { name: 'templates', description: 'Settings that machines are created with.' },
    { name: 'keys', description: 'API keys, with scopes and expiry.' },
    { name: 'ssh-keys', description: 'SSH keys and certificates, with which the SSH gateway lets users in.' },
    { name: 'environments', description: 'Groups of machines that live and end together.' },
    { name: 'quotas', description: 'How much each tenant may have.' },
    { name: 'health', description: 'The daemon itself.' },
  ],
};
