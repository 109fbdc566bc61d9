import { Reply } from 'zeromq';
import { freePort } from './ports.ts';

/** A legacy server that writes down every request it gets, and answers as it is told. */
export interface RecordingLegacy {
  readonly endpoint: string;
  /** The frames of each request so far. */
  readonly received: readonly (readonly Buffer[])[];
  stop(): Promise<void>;
}

/** Starts a serial REP server. `answer` makes the reply to the last frame of a request. */
export async function startRecordingLegacy(
  answer: (request: Buffer) => string | Buffer,
): Promise<RecordingLegacy> {
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const socket = new Reply({ linger: 0 });
  await socket.bind(endpoint);
  const received: Buffer[][] = [];
  const serve = async (): Promise<void> => {
    for await (const frames of socket) {
      received.push(frames);
      await socket.send(answer(frames.at(-1) ?? Buffer.alloc(0)));
    }
  };
  const served = serve().catch((error: unknown) => {
    if (!socket.closed) throw error;
  });
  return {
    endpoint,
    received,
    async stop() {
      socket.close();
      await served;
    },
  };
}
