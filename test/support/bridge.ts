/**
 * A network namespace in which a test's daemon makes its bridge, so that what machines get is what they get on a usual
 * host, and the host of the tests keeps its own network as it is.
 */
import { Internet, type Namespace, whyNoNamespaces } from '../../src/network/lab/namespaces.ts';

export interface BridgeHost {
  /** Settings of the daemon. */
  readonly env: NodeJS.ProcessEnv;
  /** Where the daemon's bridge, taps and rules are. */
  readonly host: Namespace;
  close(): Promise<void>;
}

/** Raises when this host cannot make namespaces. */
export async function makeBridgeHost(): Promise<BridgeHost> {
  const reason = await whyNoNamespaces();
  if (reason !== null) throw new Error(`these tests need network namespaces: ${reason}`);
  const internet = await Internet.make();
  return {
    env: { FLOTILLA_NETWORK: 'bridge', FLOTILLA_NETNS: internet.host.path },
    host: internet.host,
    close: () => internet[Symbol.asyncDispose](),
  };
}
