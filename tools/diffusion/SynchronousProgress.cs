namespace Diffusion.Gpu.Cli;

/// <summary>Reports on the thread that reports: nothing arrives late or out of order.</summary>
internal sealed class SynchronousProgress<T>(Action<T> report) : IProgress<T>
{
    public void Report(T value) => report(value);
}
