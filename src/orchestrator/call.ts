import type { Logger } from 'pino';
import type { Access } from './access/access.ts';
import type { Identity } from './access/identity.ts';
import type { Meaning } from './embeddings/meaning.ts';
import type { VaultDatabase } from './encryption/vault-session.ts';
import type { AnswerCache } from './cache/answer-cache.ts';
import type { Health } from './health.ts';
import type { Observer } from './observability/observer.ts';
import type { Action } from './wire/payloads.ts';
import type { Request } from './wire/request.ts';
import type { Summarizer } from './summaries/summarizer.ts';

/** The parts that actions use. Created once by the composition root. */
export interface ServiceParts {
  readonly database: VaultDatabase;
  readonly access: Access;
  readonly cache: AnswerCache;
  readonly observer: Observer;
  readonly health: Health;
  readonly summarizer: Summarizer;
  readonly meaning: Meaning;
  readonly log: Logger;
}

/** One request of one caller, as passed to a handler. */
export interface Call<A extends Action = Action> {
  readonly parts: ServiceParts;
  readonly request: Request<A>;
  /** The caller. Its `id` is empty if keys are off. */
  readonly caller: Identity;
}

/** Performs one action. Resolves with the `data` of its answer. @throws CrossfadeError */
export type Handler<A extends Action> = (call: Call<A>) => Promise<object>;
