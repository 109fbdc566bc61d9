import { fastify, type FastifyInstance, type InjectOptions } from 'fastify';

/** The operator's API said no, in words for people. */
export class ApiRefusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The operator's API, asked as one caller. @throws ApiRefusal */
export interface OperatorApi {
  get<Answer>(path: string): Promise<Answer>;
  post<Answer>(path: string, body: object): Promise<Answer>;
}

/**
 * The same routes that the operator's port serves, asked within this process: the desk can do what they can and no more, by their
 * rules, their roles and their audit.
 */
export class OperatorApiHost {
  readonly #app: FastifyInstance;

  constructor(register: (app: FastifyInstance) => void) {
    this.#app = fastify({ logger: false });
    register(this.#app);
  }

  /** @param token absent where there are none */
  as(token: string | undefined): OperatorApi {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return {
      get: (path) => this.#ask({ method: 'GET', url: path, headers }),
      post: (path, body) => this.#ask({ method: 'POST', url: path, headers, payload: body }),
    };
  }

  async #ask<Answer>(question: InjectOptions): Promise<Answer> {
    const { statusCode, payload } = await this.#app.inject(question);
    const answer: unknown = payload === '' ? {} : JSON.parse(payload);
    if (statusCode < 300) return answer as Answer;
    const { error, message } = answer as { readonly error?: string; readonly message?: string };
    throw new ApiRefusal(statusCode, error ?? 'failed', message ?? 'the operator’s API failed');
  }
}
