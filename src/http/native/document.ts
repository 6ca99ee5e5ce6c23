/** The head of the document of Flotilla's own API, used by SDK, CLI and dashboard. */
import type { DocumentHead } from '../dialect.ts';

const description = `
Fleets of microVMs on machines you own. From nothing to the output of a command:

1. **A key.** \`flotilla keys create --name ci --scope machines:read,machines:write,machines:exec\` prints one; the operator may
   also ask \`POST /api/v1/keys\`. Send it with every request: \`Authorization: Bearer hf_…\`.
2. **Create** a machine: \`POST /machines\` with \`{"name":"web","vcpu_count":1,"mem_size_mib":256,"image":"busybox"}\`.
3. **Start** it: \`POST /machines/web/start\`. It answers when the guest does.
4. **Exec**: \`POST /machines/web/exec\` with \`{"command":["uname","-r"]}\` answers \`exit_code\`, \`stdout\` and \`stderr\`; with
   \`Accept: application/x-ndjson\` the output comes as it is written.
5. **Delete** it: \`DELETE /machines/web?force=true\`.

Ids and names are both taken where \`{id}\` stands. A query parameter or body field that nobody knows is refused. Clients for other
languages can be generated from this document, for example by \`openapi-python-client\` or \`@hey-api/openapi-ts\`.

Every error body is \`{"error":{"code","message"}}\`; \`code\` is for programs and \`message\` for people. An
\`X-Request-Id\` that you send comes back; without one, one is made. The daemon's log has it for what changed something or
was refused, and with \`FLOTILLA_LOG_LEVEL=debug\` for all.

A request that is no HTTP, or whose header section is too large or comes too slowly, is answered with the same body and
400, 431 or 408; so is one whose body does not come, with 408.

\`/api/v1/machines\` and \`/machines\` are two names of the same routes.
`.trim();

export const nativeDocument: DocumentHead = {
  name: 'machines',
  title: 'Flotilla API',
  description,
  tags: [
    { name: 'machines', description: 'MicroVMs: their life, and commands in them.' },
    { name: 'operations', description: 'What is being done to machines, and how it ended.' },
    { name: 'images', description: 'Root file systems that machines start from.' },
    { name: 'keys', description: 'API keys: who may do what, and until when.' },
    { name: 'health', description: 'The daemon itself.' },
  ],
};
