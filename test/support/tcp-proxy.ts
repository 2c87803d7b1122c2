/**
 * A TCP proxy that can be held, cut and led elsewhere: between a primary and its standby, or as the DNS name of a cluster.
 * Knows no protocol.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A listening proxy. */
export interface TcpProxy {
  readonly port: number;
  /** Lets nothing through any more, in both directions, and keeps the connections. */
  hold(): void;
  /** Lets everything through again, what was held first. */
  release(): void;
  /** Ends every connection. New ones are taken. */
  cut(): void;
  /** Leads new connections to another port. @param port - of a server here */
  leadTo(port: number): void;
  /** Ends it. */
  stop(): Promise<void>;
}

/**
 * Starts a proxy.
 *
 * @param target - the port that it leads to
 */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const state = { target, held: false };
  const pairs = new Set<readonly [Socket, Socket]>();
  const flow = ([client, server]: readonly [Socket, Socket]) => {
    if (state.held) {
      client.unpipe(server).pause();
      server.unpipe(client).pause();
    } else {
      client.pipe(server);
      server.pipe(client);
    }
  };
  const listener = createServer((client) => {
    const server = connect(state.target, '127.0.0.1');
    const pair = [client, server] as const;
    pairs.add(pair);
    for (const each of pair) {
      each.on('error', () => undefined);
      each.on('close', () => {
        client.destroy();
        server.destroy();
        pairs.delete(pair);
      });
    }
    flow(pair);
  });
  await new Promise<void>((ready) => listener.listen(0, '127.0.0.1', ready));
  const cut = () => {
    for (const pair of pairs) for (const each of pair) each.destroy();
  };
  const setHeld = (held: boolean) => {
    state.held = held;
    for (const pair of pairs) flow(pair);
  };
  return {
    port: (listener.address() as AddressInfo).port,
    hold: () => setHeld(true),
    release: () => setHeld(false),
    cut,
    leadTo: (port) => {
      state.target = port;
    },
    stop: async () => {
      cut();
      await new Promise((closed) => listener.close(closed));
    },
  };
}
