// Made by scripts/generate.ts from the OpenAPI document.

/**
 * By operation: method; path; the media type of the body it takes; what its answer is; the media type of the answer
 * that may be had as a stream; and whether a call may be repeated when nobody knows whether it was served.
 */
export const operationTable = {
  createMachine: { method: 'POST', path: '/machines', takes: 'application/json', answer: 'json', stream: null, isRepeatable: false },
  listMachines: { method: 'GET', path: '/machines', takes: null, answer: 'json', stream: null, isRepeatable: true },
  getMachine: { method: 'GET', path: '/machines/{id}', takes: null, answer: 'json', stream: null, isRepeatable: true },
  updateMachine: { method: 'PATCH', path: '/machines/{id}', takes: 'application/json', answer: 'json', stream: null, isRepeatable: false },
  deleteMachine: { method: 'DELETE', path: '/machines/{id}', takes: null, answer: 'none', stream: null, isRepeatable: false },
  startMachine: { method: 'POST', path: '/machines/{id}/start', takes: null, answer: 'json', stream: null, isRepeatable: false },
  stopMachine: { method: 'POST', path: '/machines/{id}/stop', takes: null, answer: 'json', stream: null, isRepeatable: false },
  restartMachine: { method: 'POST', path: '/machines/{id}/restart', takes: null, answer: 'json', stream: null, isRepeatable: false },
  pauseMachine: { method: 'POST', path: '/machines/{id}/pause', takes: null, answer: 'json', stream: null, isRepeatable: false },
  resumeMachine: { method: 'POST', path: '/machines/{id}/resume', takes: null, answer: 'json', stream: null, isRepeatable: false },
  waitForMachine: { method: 'GET', path: '/machines/{id}/wait', takes: null, answer: 'json', stream: null, isRepeatable: true },
  getMachineConsole: { method: 'GET', path: '/machines/{id}/console', takes: null, answer: 'stream', stream: 'text/plain', isRepeatable: true },
  execInMachine: { method: 'POST', path: '/machines/{id}/exec', takes: 'application/json', answer: 'json', stream: 'application/x-ndjson', isRepeatable: false },
  getHealth: { method: 'GET', path: '/health', takes: null, answer: 'json', stream: null, isRepeatable: true },
  importImage: { method: 'POST', path: '/api/v1/images', takes: 'application/json', answer: 'json', stream: null, isRepeatable: false },
  listImages: { method: 'GET', path: '/api/v1/images', takes: null, answer: 'json', stream: null, isRepeatable: true },
  uploadImage: { method: 'PUT', path: '/api/v1/images/{name}', takes: 'application/octet-stream', answer: 'json', stream: null, isRepeatable: false },
  getImage: { method: 'GET', path: '/api/v1/images/{name}', takes: null, answer: 'json', stream: null, isRepeatable: true },
  deleteImage: { method: 'DELETE', path: '/api/v1/images/{name}', takes: null, answer: 'none', stream: null, isRepeatable: false },
  createKey: { method: 'POST', path: '/api/v1/keys', takes: 'application/json', answer: 'json', stream: null, isRepeatable: false },
  listKeys: { method: 'GET', path: '/api/v1/keys', takes: null, answer: 'json', stream: null, isRepeatable: true },
  getKey: { method: 'GET', path: '/api/v1/keys/{id}', takes: null, answer: 'json', stream: null, isRepeatable: true },
  revokeKey: { method: 'DELETE', path: '/api/v1/keys/{id}', takes: null, answer: 'none', stream: null, isRepeatable: false },
  listOperations: { method: 'GET', path: '/api/v1/operations', takes: null, answer: 'json', stream: null, isRepeatable: true },
  getOperation: { method: 'GET', path: '/api/v1/operations/{id}', takes: null, answer: 'json', stream: null, isRepeatable: true },
} as const;

/** The words that a value may be, by schema. */
export const words = {
  MachineStatus: ['pending', 'starting', 'running', 'paused', 'stopping', 'stopped', 'failed'],
  RestartPolicy: ['no', 'on-failure', 'always'],
  Scope: ['machines:read', 'machines:write', 'machines:exec', '*'],
  OperationState: ['running', 'undoing', 'succeeded', 'failed', 'cancelled'],
} as const;
