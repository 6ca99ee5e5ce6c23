/** Faults of the reverse proxy: private routes, certificates, memory, and machines that are held. */
import type { Mutation } from './mutation.ts';

const tokens = 'src/core/routes/tokens.ts';
const tokensTest = 'src/core/routes/tokens.test.ts';
const tickets = 'src/proxy/tickets.ts';
const privateTest = 'src/proxy/private-routes.test.ts';
const exchange = 'src/proxy/exchange.ts';
const exchangeTest = 'src/proxy/exchange.test.ts';
const acme = 'src/proxy/tls/acme-certificates.ts';
const acmeTest = 'src/proxy/tls/acme-certificates.test.ts';

export const proxyMutations: readonly Mutation[] = [
  {
    fault: 'a token of a private route never expires',
    guarantee: 'G56',
    file: tokens,
    from: 'return isOurs && untilMs > nowMs ? untilMs : null;',
    to: 'return isOurs ? untilMs : null;',
    caughtBy: { file: tokensTest, test: 'until it expires' },
  },
  {
    fault: 'a token opens every route with the same secret',
    guarantee: 'G56',
    file: tokens,
    from: 'function signature({ id, secret }: RouteLock, expiry: string): string {',
    to: "function signature({ secret }: RouteLock, expiry: string, id = ''): string {",
    caughtBy: { file: tokensTest, test: 'no other token opens it' },
  },
  {
    fault: 'the guest sees the token of its route',
    guarantee: 'G56',
    file: tickets,
    from: 'if (lower === tokenHeader) continue;',
    to: '',
    caughtBy: { file: privateTest, test: 'is not passed on' },
  },
  {
    fault: 'another tenant’s page uses a browser’s cookie',
    guarantee: 'G56',
    file: tickets,
    from: 'return isOfRoutesPages(rawHeaders) && fromCookies',
    to: 'return fromCookies',
    caughtBy: { file: privateTest, test: 'pages of other names' },
  },
  {
    fault: 'certificates are fetched for any name that strangers ask for',
    guarantee: 'G57',
    file: acme,
    from: 'if (!(await this.#deps.isKnown(name))) return null;',
    to: '',
    caughtBy: { file: acmeTest, test: 'nothing is fetched for other names' },
  },
  {
    fault: 'a certificate is not renewed before it ends',
    guarantee: 'G57',
    file: acme,
    from: 'const renewed = isOld ?',
    to: 'const renewed = leftMs <= 0 ?',
    caughtBy: { file: acmeTest, test: 'in the last third of its life' },
  },
  {
    fault: 'a hold does not keep a machine from its rest',
    guarantee: 'G55',
    file: 'src/core/machines/idle-keeper.ts',
    from: 'return heldUntil === null ? 0 :',
    to: 'return heldUntil !== undefined ? 0 :',
    caughtBy: { file: 'src/core/machines/idle-keeper.test.ts', test: 'a held machine does not rest' },
  },
  {
    fault: 'a request that must not be done twice is sent again',
    guarantee: 'G59',
    file: exchange,
    from: 'body === null && repeatable.has(',
    to: 'body !== undefined || repeatable.has(',
    caughtBy: { file: 'src/proxy/reverse-proxy.test.ts', test: 'only what may be done twice is sent again' },
  },
  {
    fault: 'the proxy holds what a slow client does not read',
    guarantee: 'G59',
    file: exchange,
    from: 'controller.pause();',
    to: '',
    caughtBy: { file: exchangeTest, test: 'a client that does not read stops the program' },
  },
  {
    fault: 'a program goes on for a client that has left',
    guarantee: 'G59',
    file: exchange,
    from: 'else if (this.#kept?.stream.destroyed === false) this.#controller.abort(left);',
    to: '',
    caughtBy: { file: exchangeTest, test: 'end when their client leaves' },
  },
  {
    fault: 'a broken answer is given out as whole',
    guarantee: 'G59',
    file: exchange,
    from: 'if (kept !== null && this.#controller === null) this.#turn.keep(kept);',
    to: 'if (this.#outgoing.headersSent) return void this.#outgoing.end();',
    caughtBy: { file: exchangeTest, test: 'the client does not take what it got for the whole' },
  },
  {
    fault: 'the requests of one port take all connections of its machine',
    guarantee: 'G59',
    file: 'src/proxy/ports.ts',
    from: 'if (this.#underWay < connectionsMax)',
    to: 'if (this.#underWay >= 0)',
    caughtBy: { file: 'src/proxy/ports.test.ts', test: 'wait in order' },
  },
];
