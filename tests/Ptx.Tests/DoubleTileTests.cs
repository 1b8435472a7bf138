using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What the machine code of products in double precision must and must not contain.</summary>
[TestFixture(80)]
[TestFixture(90)]
public sealed class DoubleTileTests(int architecture)
{
    [Test]
    public void A_stage_is_64_matrix_instructions_and_two_barriers_in_registers()
    {
        if (Assembler.Folder is null)
            Assert.Ignore(Assembler.Missing);
        AssembledKernel[] tiles = [.. Assembly.Of(architecture)
            .Where(kernel => kernel.Name.StartsWith(nameof(MatrixTensorTile), StringComparison.Ordinal))];
        // Four orders of the operands, of which the op cases and the matrix root use all.
        Assert.That(tiles, Has.Length.EqualTo(4));
        foreach (var tile in tiles)
        {
            Assert.Multiple(() =>
            {
                Assert.That(MachineCode.Count(tile.Code!.Loop, "DMMA"), Is.EqualTo(64), tile.Name);
                Assert.That(MachineCode.Count(tile.Code.Loop, "DFMA"), Is.Zero, tile.Name);
                Assert.That(MachineCode.Count(tile.Code.Loop, "LDS"), Is.EqualTo(32), tile.Name);
                Assert.That(MachineCode.Count(tile.Code.Loop, "BAR"), Is.EqualTo(2), tile.Name);
                Assert.That(tile.StackBytes, Is.Zero, tile.Name);
                Assert.That(tile.Registers, Is.LessThanOrEqualTo(168), tile.Name);
            });
        }
    }
}
