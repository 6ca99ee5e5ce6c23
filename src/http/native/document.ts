/** The head of the document of Flotilla's own API, used by SDK, CLI and dashboard. */
import type { DocumentHead } from '../dialect.ts';

const description = `
Fleets of microVMs on machines you own.

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
