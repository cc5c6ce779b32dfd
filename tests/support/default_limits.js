// Makes every adapter look as weak as WebGPU allows: the default limits and no optional feature. (The one name only
// says that the limits are not the lower ones of compatibility mode.) Runs in a page or a worker before anything asks
// for an adapter.
(() => {
  if (!globalThis.GPUAdapter) return;
  const DEFAULTS = {
    maxTextureDimension1D: 8192,
    maxTextureDimension2D: 8192,
    maxTextureDimension3D: 2048,
    maxTextureArrayLayers: 256,
    maxBindGroups: 4,
    maxBindGroupsPlusVertexBuffers: 24,
    maxBindingsPerBindGroup: 1000,
    maxDynamicUniformBuffersPerPipelineLayout: 8,
    maxDynamicStorageBuffersPerPipelineLayout: 4,
    maxSampledTexturesPerShaderStage: 16,
    maxSamplersPerShaderStage: 16,
    maxStorageBuffersPerShaderStage: 8,
    maxStorageTexturesPerShaderStage: 4,
    maxUniformBuffersPerShaderStage: 12,
    maxUniformBufferBindingSize: 65536,
    maxStorageBufferBindingSize: 134217728,
    minUniformBufferOffsetAlignment: 256,
    minStorageBufferOffsetAlignment: 256,
    maxVertexBuffers: 8,
    maxBufferSize: 268435456,
    maxVertexAttributes: 16,
    maxVertexBufferArrayStride: 2048,
    maxInterStageShaderVariables: 16,
    maxColorAttachments: 8,
    maxColorAttachmentBytesPerSample: 32,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupSizeY: 256,
    maxComputeWorkgroupSizeZ: 64,
    maxComputeWorkgroupsPerDimension: 65535,
  };
  const FEATURES = new Set(['core-features-and-limits']);
  const { prototype } = globalThis.GPUAdapter;
  const { requestDevice } = prototype;
  Object.defineProperties(prototype, {
    limits: { get: () => DEFAULTS },
    features: { get: () => FEATURES },
    requestDevice: {
      value(descriptor = {}) {
        const requiredFeatures = [...(descriptor.requiredFeatures ?? [])].filter((name) =>
          FEATURES.has(name),
        );
        return requestDevice.call(this, { ...descriptor, requiredFeatures, requiredLimits: {} });
      },
    },
  });
})();
