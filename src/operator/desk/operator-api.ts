import { OWNER_IN_URL_LIMIT } from '../../domain/ids.ts';
import { addressOf, type AnswerOf, type CallOf, type Endpoint } from '../api/endpoint.ts';
import { fastify, type FastifyInstance, type InjectOptions } from 'fastify';

/** A refusal of the operator's API, in words for people. */
export class ApiRefusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The operator's API, called as one caller. @throws ApiRefusal */
export interface OperatorApi {
  ask<E extends Endpoint>(endpoint: E, call: CallOf<E>): Promise<AnswerOf<E>>;
  /** An answer that is a document, unchanged. */
  document<E extends Endpoint>(endpoint: E, call: CallOf<E>): Promise<ApiDocument>;
}

export interface ApiDocument {
  readonly text: string;
  readonly type: string;
  /** Its own content security policy. */
  readonly policy?: string;
}

/**
 * Calls the routes of the operator's port within this process. The desk therefore has the same rights, rules and audit as the
 * API, and no others.
 */
export class OperatorApiHost {
  readonly #app: FastifyInstance;

  constructor(register: (app: FastifyInstance) => void) {
    this.#app = fastify({ logger: false, routerOptions: { maxParamLength: OWNER_IN_URL_LIMIT } });
    register(this.#app);
  }

  /** @param token absent where there are no tokens */
  as(token: string | undefined): OperatorApi {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return {
      ask: (endpoint, call) => this.#ask(endpoint, questionOf(endpoint, call, headers)),
      document: (endpoint, call) => this.#fetch(questionOf(endpoint, call, headers)),
    };
  }

  async #ask<E extends Endpoint>({ answer }: E, question: InjectOptions): Promise<AnswerOf<E>> {
    const { statusCode, payload } = await this.#app.inject(question);
    if (statusCode >= 300) throw refusalIn(statusCode, payload);
    return ('json' in answer ? JSON.parse(payload) : payload) as AnswerOf<E>;
  }

  async #fetch(question: InjectOptions): Promise<ApiDocument> {
    const { statusCode, payload, headers } = await this.#app.inject(question);
    if (statusCode >= 300) throw refusalIn(statusCode, payload);
    const policy = headers['content-security-policy'];
    return {
      text: payload,
      type: String(headers['content-type'] ?? 'text/plain'),
      ...(policy !== undefined && { policy: String(policy) }),
    };
  }
}

function questionOf<E extends Endpoint>(
  endpoint: E,
  call: CallOf<E>,
  headers: Readonly<Record<string, string>>,
): InjectOptions {
  const { body: payload } = call;
  const url = addressOf(endpoint, call);
  return { method: endpoint.method, url, headers, ...(payload !== undefined && { payload }) };
}

function refusalIn(status: number, payload: string): ApiRefusal {
  const { error, message } = JSON.parse(payload) as { readonly error?: string; readonly message?: string };
  return new ApiRefusal(status, error ?? 'failed', inFieldNames(message ?? 'the operator’s API failed'));
}

/** Command-line options and the fields of forms that replace them. */
const FIELDS: Readonly<Record<string, string>> = {
  '--limit-share': 'the field “Repair at most, percent of the compared items”',
  '--limit-items': 'the field “Repair at most, findings”',
  '--person': 'the field “Your name”',
  '--reason': 'the field “Reason”',
};

/** Replaces the options in a message by the names of fields. */
export function inFieldNames(message: string): string {
  return message.replaceAll(/--[a-z-]+/g, (option) => FIELDS[option] ?? option);
}
