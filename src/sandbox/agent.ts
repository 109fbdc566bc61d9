import { Context, Request } from 'zeromq';

export interface AgentSettings {
  readonly endpoint: string;
  /** The time limit of a reply. @defaultValue 5000, as in the original agents */
  readonly receiveTimeoutMs?: number;
  /**
   * Whether the socket has an I/O thread of its own, as an agent in a process of its own has. Sockets that share a thread can send a
   * request after the proxy has closed their connection, because the thread reads the close too late. @defaultValue false
   */
  readonly hasOwnThread?: boolean;
}

export interface Agent {
  /**
   * Sends one request (an array is sent as several frames) and waits for its reply.
   * @throws Error if none comes in time. Later calls then fail at once, because a REQ socket does not recover from a
   * lost reply
   */
  call: (request: string | Buffer | readonly (string | Buffer)[]) => Promise<Buffer>;
  close: () => void;
}

/** A client as strict as the original agents: one REQ socket that is never replaced, one request at a time. */
export function createAgent({ endpoint, receiveTimeoutMs = 5000, hasOwnThread }: AgentSettings): Agent {
  let socket: Request | undefined;
  let state: 'ready' | 'waiting' | 'dead' = 'ready';
  const connect = (): Request => {
    const request = new Request({
      ...(hasOwnThread && { context: new Context() }),
      linger: 0,
      receiveTimeout: receiveTimeoutMs,
      sendTimeout: receiveTimeoutMs,
    });
    request.connect(endpoint);
    return request;
  };
  return {
    call: async (request) => {
      if (state === 'dead')
        throw new Error(`The agent at ${endpoint} cannot send any more, because it missed a reply`);
      if (state === 'waiting') throw new Error(`The agent at ${endpoint} still waits for a reply`);
      state = 'waiting';
      socket ??= connect();
      try {
        await socket.send(typeof request === 'string' || Buffer.isBuffer(request) ? request : [...request]);
        const [reply] = await socket.receive();
        state = 'ready';
        return reply ?? Buffer.alloc(0);
      } catch (cause) {
        state = 'dead';
        throw new Error(`No reply from ${endpoint} within ${receiveTimeoutMs} ms`, { cause });
      }
    },
    close: () => {
      state = 'dead';
      socket?.close();
    },
  };
}
