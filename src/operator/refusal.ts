import type { FastifyInstance, FastifyReply } from 'fastify';
import { CrossfadeError } from '../domain/errors.ts';

/** An answer that is not 200, in words for the caller. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Answers, or says in the caller's words why not: what is needed is not there, such as the database, or the wish is none. */
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

/** Nothing that is stored has a NUL in its name: the database would refuse to look for it, and seem not to be there. */
export function refuseUnstorableAddresses(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ url }, reply) => {
    if (!url.includes('%00')) return;
    await reply
      .code(400)
      .send({ error: 'invalid_request', message: 'the address holds a NUL (%00), which no name can hold' });
  });
}
