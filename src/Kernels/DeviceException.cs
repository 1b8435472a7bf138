namespace Diffusion.Gpu.Kernels;

/// <summary>A device does not exist, cannot be used, or lacks memory.</summary>
public sealed class DeviceException : Exception
{
    /// <summary>Describes a device's failure and the way out.</summary>
    /// <param name="device">The device as asked for, such as cuda:0.</param>
    /// <param name="problem">What is wrong, in the driver's words where there are any.</param>
    /// <param name="remedy">What to try.</param>
    /// <param name="inner">The driver's exception.</param>
    public DeviceException(string device, string problem, string remedy, Exception? inner = null)
        : base($"{device}: {problem}; {remedy}.", inner)
        => DeviceName = device;

    /// <summary>The device as asked for.</summary>
    public string DeviceName { get; }
}
