namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What a GPU would do wrong or leave undefined, and where in the text; or text that the interpreter does not know.</summary>
internal sealed class PtxFaultException(string message) : Exception(message);
