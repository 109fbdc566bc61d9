import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { messageOf } from '../../domain/errors.ts';
import { ApiRefusal } from './operator-api.ts';
import { problemPage, type Problem } from './pages/problem.ts';
import type { Reception } from './reception.ts';

/** Every failure becomes a page that says what failed and what to do next. */
export function registerProblems(app: FastifyInstance, reception: Reception): void {
  const show = async (problem: Problem, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const visit = await reception.visit(request, reply).catch(() => undefined);
    await reply.code(problem.status).type('text/html').send(problemPage(problem, visit));
  };
  app.setErrorHandler((error, request, reply) => show(problemOf(error), request, reply));
  app.setNotFoundHandler((request, reply) =>
    show({ status: 404, message: 'This page does not exist.' }, request, reply),
  );
}

function problemOf(error: unknown): Problem {
  if (error instanceof ApiRefusal) return { status: error.status, message: error.message };
  const { statusCode = 500 } = error as { readonly statusCode?: number };
  // The message of an unexpected error may quote content. Only the log has it.
  const message = statusCode < 500 ? messageOf(error) : 'The desk could not make this page.';
  return { status: statusCode, message };
}
