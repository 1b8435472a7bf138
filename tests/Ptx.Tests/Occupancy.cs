namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Groups of a kernel that a multiprocessor holds at once.</summary>
/// <param name="Groups">Limited by registers, shared memory and threads.</param>
/// <param name="Warps">Of these groups.</param>
internal readonly record struct Occupancy(int Groups, int Warps)
{
    private const int RegistersOfQuarter = 16384;
    private const int WarpsTogether = 4;

    /// <remarks>CUDA C++ Programming Guide, technical specifications per compute capability, and NVIDIA's occupancy calculator: a quarter
    /// of a
    /// multiprocessor has 16,384 registers, which a warp takes by 256; from 8.0 on 1 KB of a group's shared memory is the system's, and
    /// shared
    /// memory is given by 128 bytes (before 8.0 by 256).</remarks>
    /// <param name="architecture">75, 80, 86, 89 or 90.</param>
    /// <param name="threads">Of a group.</param>
    /// <param name="registers">Of a thread.</param>
    /// <param name="sharedBytes">Of a group.</param>
    public static Occupancy Of(int architecture, int threads, int registers, int sharedBytes)
    {
        var (mostThreads, mostGroups, shared) = architecture switch
        {
            75 => (1024, 16, 64),
            80 => (2048, 32, 164),
            86 => (1536, 16, 100),
            89 => (1536, 24, 100),
            _ => (2048, 32, 228),
        };
        int warps = (threads + 31) / 32, system = architecture < 80 ? 0 : 1024, unit = architecture < 80 ? 256 : 128;
        int warpsOfRegisters = RegistersOfQuarter / Up(Math.Max(registers, 1) * 32, 256) * 4;
        int sharedOfGroup = Up(sharedBytes + system, unit);
        int groups = new[]
        {
            mostGroups, mostThreads / (warps * 32), warpsOfRegisters / Up(warps, WarpsTogether),
            sharedOfGroup == 0 ? mostGroups : shared * 1024 / sharedOfGroup,
        }.Min();
        return new Occupancy(groups, groups * warps);
    }

    private static int Up(int value, int unit) => (value + unit - 1) / unit * unit;
}
