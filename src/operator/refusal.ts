import type { FastifyInstance, FastifyReply } from 'fastify';
import { CrossfadeError } from '../domain/errors.ts';

/** An answer other than 200, with a message for the caller. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Runs the handler, and turns known failures (database unavailable, invalid request) into API errors. */
export async function answered(
  reply: FastifyReply,
  answer: () => Promise<object | string>,
): Promise<object | string> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof Refusal) {
      reply.code(error.status);
      return { error: error.code, message: error.message };
    }
    if (!(error instanceof CrossfadeError)) throw error;
    reply.code(503);
    return { error: error.code, message: error.message };
  }
}

/** No stored name holds a NUL. The database would fail on it, which would look like an outage. */
export function refuseUnstorableAddresses(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ url }, reply) => {
    if (!url.includes('%00')) return;
    await reply.code(400).send({
      error: 'invalid_request',
      message: 'the address contains a NUL (%00), which no name can contain',
    });
  });
}
