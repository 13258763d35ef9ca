// Speaks HTTP with the server of this page. Every failure becomes an ApiError
// whose message says, in a sentence for people, what happened and what to do.

import type { Problem } from './types';

export class ApiError extends Error {
  constructor(message: string, readonly status: number, readonly code: string) {
    super(message);
    this.name = 'ApiError';
  }
}

export type Query = [name: string, value: string][];

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

export function address(path: string, query: Query = []): string {
  const search = new URLSearchParams(query.filter(([, value]) => value !== '')).toString();
  return search ? `${path}?${search}` : path;
}

async function problemOf(response: Response): Promise<ApiError> {
  const plain = `Hilum answered ${response.status} ${response.statusText}.`;
  try {
    const problem = (await response.json()) as Partial<Problem>;
    return new ApiError(problem.detail || problem.title || plain, response.status, problem.code ?? 'unknown');
  } catch {
    return new ApiError(plain, response.status, 'unknown');
  }
}

let refused = () => {};
/** Calls `then` when an answer says that nobody is signed in any more. */
export function whenSignedOut(then: () => void) {
  refused = then;
}

async function ask(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers: { accept: 'application/json', ...init.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('Hilum does not answer. Check that it runs and that this machine reaches it.', 0, 'unreachable');
  }
  // At `/auth/` it means that what was just said is not known.
  if (response.status === 401 && !url.startsWith('/auth/')) refused();
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function get<T>(path: string, signal?: AbortSignal, query?: Query): Promise<T> {
  return (await (await ask(address(path, query), signal ? { signal } : {})).json()) as T;
}

export async function act(method: Exclude<Method, 'GET'>, path: string, body?: unknown): Promise<Response> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'content-type': 'application/json' };
  }
  return ask(path, init);
}

/** Acts, and reads what came of it. */
export async function made<T>(method: Exclude<Method, 'GET'>, path: string, body?: unknown): Promise<T> {
  return (await (await act(method, path, body)).json()) as T;
}

export const segment = encodeURIComponent;
