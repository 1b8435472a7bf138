namespace Diffusion.Gpu.Cli;

/// <summary>Where a command writes; tests pass their own.</summary>
/// <param name="Out">Results.</param>
/// <param name="Error">Errors and progress.</param>
internal sealed record ToolContext(TextWriter Out, TextWriter Error);
