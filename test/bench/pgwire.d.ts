/** What is used of pgwire, which comes without types. */
declare module 'pgwire' {
  interface Chunk {
    readonly messages: readonly { readonly tag: string }[];
  }
  interface Connection {
    logicalReplication(options: { slot: string; options: Readonly<Record<string, unknown>> }): {
      pgoutputDecode(): AsyncIterable<Chunk>;
    };
  }
  export function pgconnection(options: Readonly<Record<string, unknown>>, uri: string): Connection;
}
